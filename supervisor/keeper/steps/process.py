"""Steps that make the process what it is to be: its limits, its identity, its program (credentials(7))."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat

from pysup.supervisor.keeper import names
from pysup.supervisor.keeper.steps import lookup
from pysup.supervisor.keeper.steps.context import ENGINE_IS_GONE, Context, StepError
from pysup.supervisor.kernel import paths
from pysup.supervisor.kernel.capabilities import NAMES
from pysup.supervisor.kernel.own_ids import may_set_groups

RESOURCES = {
    name.removeprefix("RLIMIT_").lower(): getattr(resource, name)
    for name in dir(resource)
    if name.startswith("RLIMIT_")
}
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NULL = os.makedev(1, 3)


def rlimit(context: Context, name: str, soft: int, hard: int) -> None:
    """Set one limit; -1 means unlimited. setrlimit(2)."""
    if name not in RESOURCES:
        raise StepError(errno.EINVAL, f"no limit is named {name!r}")
    try:
        context.system.setrlimit(RESOURCES[name], (soft, hard))
    except (
        ValueError
    ):  # Python's word for EPERM; soft is not above hard, which was looked at when it was asked for
        cause = f"operation not permitted: {hard} is more than may be had here"
        raise StepError(errno.EPERM, cause) from None


def oom_score_adj(context: Context, value: int) -> None:
    """Tell the OOM killer how dear this process is. proc_pid_oom_score_adj(5); needs the host's ids, and
    /proc.
    """
    fd = context.system.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    try:
        context.system.write(fd, str(value).encode())
    except PermissionError as error:
        least = context.system.pread(fd, 16, 0).decode().strip()
        cause = f"permission denied: {value} needs CAP_SYS_RESOURCE, without which the least is {least}"
        raise StepError(errno.EACCES, cause) from error
    finally:
        context.system.close(fd)


def umask(context: Context, value: int) -> None:
    """Set the file mode creation mask."""
    context.system.umask(value)


def user(context: Context, name: str, groups: list[str]) -> None:
    """Look the user up in the container's own passwd and group; "credentials" puts it in force."""
    try:
        identity = names.identify(
            name, groups, names.read_in(context.root, names.PASSWD), names.read_in(context.root, names.GROUP)
        )
    except names.UnknownName as error:
        raise StepError(errno.EINVAL, str(error)) from None
    context.uid, context.gid, context.groups, context.home = identity


def workdir(context: Context, path: str, create: bool = True) -> None:  # noqa: FBT001, FBT002 - an argument of a step
    """Go to the working directory as root, before "credentials"; make it first if it is missing, for a
    container's first process (as docker does).
    """
    find = lookup.directory if create else lookup.existing
    fd = find(context, path)
    try:
        context.system.fchdir(fd)
    finally:
        context.system.close(fd)
    _check_inside(context)
    context.workdir = path


def _check_inside(context: Context) -> None:
    """The kernel can name a directory from the root only if it lies below it (CVE-2024-21626). getcwd(3)."""
    with contextlib.suppress(FileNotFoundError):
        if context.system.getcwd().startswith("/"):
            return
    raise StepError(errno.EPERM, "the working directory is outside of the container")


def credentials(context: Context, bounding: list[str]) -> None:
    """Take the identity and the capabilities for good (capabilities(7), setresuid(2)).

    Root keeps what is in both the bounding set and its own; another user's effective set becomes empty with
    the change of the uid. Inheritable and ambient sets are empty for all (CVE-2022-24769).
    """
    system = context.system
    wanted = {NAMES[name] for name in bounding if name in NAMES}
    kept = wanted & system.permitted() if context.uid == 0 else set()
    _give_stdio(context)
    system.drop_bounding([number for number in range(system.last_cap() + 1) if number not in wanted])
    _take_ids(context)
    system.ambient_clear()
    system.set_caps(kept, kept, ())


def _take_ids(context: Context) -> None:
    system, (uid, gid) = context.system, (context.uid, context.gid)
    try:
        if may_set_groups():
            system.setgroups(context.groups)
        system.setresgid(gid, gid, gid)
        system.setresuid(uid, uid, uid)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        ids = ", ".join(map(str, (gid, *context.groups)))
        cause = f"invalid argument: its user namespace does not have user {uid} and groups {ids}, all of them"
        raise StepError(errno.EINVAL, cause) from None


def _give_stdio(context: Context) -> None:
    """Let the user open /dev/stdout and its kin again: own the pipes or the terminal, never /dev/null."""
    for number in (0, 1, 2):
        if context.uid != 0 and context.system.fstat(number).st_rdev != _NULL:
            with contextlib.suppress(PermissionError, OSError):
                context.system.fchown(number, context.uid, -1)


def no_new_privileges(context: Context) -> None:
    """No program gains privileges by set-uid bits or file capabilities."""
    context.system.set_no_new_privs()


def seccomp(context: Context, name: str, flags: int) -> None:
    """Load the system call filter that a descriptor holds (seccomp(2)).

    Without "no_new_privileges" before it, it must come before "credentials" takes CAP_SYS_ADMIN away.
    """
    context.system.load_seccomp(context.fd(name), flags)


def apparmor(context: Context, profile: str) -> None:
    """Have the next execve(2) put the process under an AppArmor profile.

    Written before the container's root is entered: nothing in there can stand in for /proc (CVE-2025-52881).
    """
    fd = context.system.open("/proc/self/attr/apparmor/exec", os.O_WRONLY | os.O_CLOEXEC)
    try:
        context.system.write(fd, f"exec {profile}".encode())
    finally:
        context.system.close(fd)


def ready(context: Context) -> None:
    """Tell the engine that all but the exec is done, and wait for its word. seccomp must allow read and
    sendmsg.
    """
    context.tell({"ready": True, "kept": list(context.kept)}, tuple(context.kept.values()))
    if context.system.read(context.init, 16) != b"go":
        os._exit(ENGINE_IS_GONE)


def execute(context: Context, argv: list[str], env: list[str], cwd: str) -> None:
    """Execute the program, found by the container's own PATH (execve(2)); comes back only by an error."""
    if cwd and context.workdir != cwd:
        workdir(context, cwd)
    environment = dict(item.split("=", 1) for item in env if item.find("=") > 0)
    environment.setdefault("HOME", context.home or "/")
    _use_own_null(context)
    context.system.close_on_exec_from(3)
    _try_programs(context, argv, environment)


def _use_own_null(context: Context) -> None:
    """Where /dev/null stands in for a stream, let it be the container's, if that is what it says it is."""
    if not context.unset_stdio or context.root < 0:
        return
    with contextlib.suppress(OSError):
        fd = lookup.open_in(context, "/dev/null", os.O_RDWR | os.O_NOCTTY, resolve=paths.NO_LINKS)
        if stat.S_ISCHR(context.system.fstat(fd).st_mode) and context.system.fstat(fd).st_rdev == _NULL:
            for number in context.unset_stdio:
                context.system.dup2(fd, number)


def _try_programs(context: Context, argv: list[str], environment: dict[str, str]) -> None:
    """Try each directory of PATH; a program that may not be executed is the better error than none at all."""
    denied: OSError | None = None
    for path in _candidates(argv[0], environment):
        try:
            context.system.execve(path, argv, environment)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR) or "/" in argv[0]:
                denied = denied or error
    if denied is not None:
        raise denied
    raise StepError(errno.ENOENT, "executable file not found in $PATH")


def _candidates(program: str, environment: dict[str, str]) -> list[str]:
    if "/" in program:
        return [program]
    return [
        os.path.join(folder or ".", program) for folder in environment.get("PATH", DEFAULT_PATH).split(":")
    ]
