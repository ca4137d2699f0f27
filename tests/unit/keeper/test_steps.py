"""The child's steps against a recording system: which calls are made, in which order, and what fails by which name."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from helpers.recording import PLACES, RecordingSystem

from pysup.supervisor.keeper import steps
from pysup.supervisor.keeper.steps.context import Context
from pysup.supervisor.kernel import mounts
from pysup.supervisor.kernel.libc import AT_FDCWD, KernelError
from pysup.supervisor.runtime.launch import MAX_REPORT

Step = list[Any]


@pytest.fixture
def init() -> Iterator[tuple[socket.socket, socket.socket]]:
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ends
    for end in ends:
        end.close()


def context_of(system: RecordingSystem, init: tuple[socket.socket, socket.socket]) -> Context:
    context = Context(system, {"init": init[1].fileno(), "netns": 9})
    context.root = 40
    return context


@pytest.fixture
def system() -> RecordingSystem:
    return RecordingSystem()


@pytest.fixture
def context(system: RecordingSystem, init: tuple[socket.socket, socket.socket]) -> Context:
    return context_of(system, init)


def failure(context: Context, *plan: Step) -> steps.Failed:
    with pytest.raises(steps.Failed) as caught:
        steps.run(context, list(plan))
    return caught.value


def test_every_op_of_the_contract_is_there() -> None:
    wanted = """user_namespace join_cgroups unshare setns propagation overlay enter mount bind device bind_device
    symlink console attach mask read_only pivot read_only_root hostname domainname loopback default_sysctl sysctl rlimit
    oom_score_adj umask user workdir credentials no_new_privileges seccomp apparmor ready exec owner stage place reuse
    keep lend secrets show borrow fresh give_ids mount_part"""
    assert set(wanted.split()) == set(steps.OPS)


def test_overlay_options_are_escaped(context: Context, system: RecordingSystem) -> None:
    steps.run(context, [["overlay", {"lower": ["/a:b", "/c,d"], "upper": "/u,v", "work": "/w", "target": "/t",
                                     "volatile": True, "options": ["userxattr"]}]])  # fmt: skip
    data = "lowerdir=/a\\:b:/c\\,d,upperdir=/u\\,v,workdir=/w,volatile,userxattr"
    assert system.calls == [("mount", "overlay", "/t", "overlay", 0, data)]


def test_many_layers_are_named_by_descriptors(context: Context, system: RecordingSystem) -> None:
    lower = [f"/var/lib/pysup/images/layers/{number:064}" for number in range(400)]
    system.fails["mount"] = KernelError(errno.ENOMEM, "mount")
    assert failure(context, ["overlay", {"lower": lower, "target": "/t"}]).number == errno.ENOMEM
    assert [path for path, *_ in system.of("open")] == lower
    assert system.of("chdir") == [("/proc/self/fd",)]
    data = system.of("mount")[0][4]
    assert data.startswith("lowerdir=") and data.count(":") == 399 and len(data) < 4096
    assert len(system.of("close")) == 400


def test_a_further_overlay_is_mounted_in_the_root(context: Context, system: RecordingSystem) -> None:
    """Where overlayfs does not take the file system, it is shown read-only."""
    step = ["overlay", {"lower": ["/home"], "upper": "/u", "work": "/w", "at": "/home", "flags": 2}]
    steps.run(context, [step])
    data = "lowerdir=/home,upperdir=/u,workdir=/w"
    assert system.of("mount") == [("overlay", ".", "overlay", 2, data)]
    assert "move_mount" not in system.names()
    system.fails["mount"] = KernelError(errno.EINVAL, "mount")
    steps.run(context, [step])
    assert system.of("open_tree") == [(AT_FDCWD, "/home")]
    assert system.of("mount_setattr") == [(52, {"attr_set": 1})]
    assert system.of("move_mount") == [(52, 50)]
    system.fails["mount"] = KernelError(errno.EPERM, "mount")
    assert failure(context, step).number == errno.EPERM


def test_mount_is_reached_by_descriptor(context: Context, system: RecordingSystem) -> None:
    steps.run(context, [["mount", "tmpfs", "shm", "/dev/shm", 14, "size=1m,mode=1777"]])
    assert system.names() == ["openat2", "readlink", "readlink", "fchdir", "mount", "close"]
    (dirfd, path, _flags, _mode, rules), = system.of("openat2")  # fmt: skip
    assert (dirfd, path) == (40, "dev/shm")
    assert rules["resolve"] & mounts.RESOLVE_IN_ROOT
    assert rules["resolve"] & mounts.RESOLVE_NO_MAGICLINKS
    assert system.of("mount") == [("shm", ".", "tmpfs", 14, "size=1m,mode=1777")]


@pytest.mark.parametrize(
    ("place", "cause"),
    [
        ("/root", "the root"),
        ("/root/proc", "only a proc file system"),
        ("/root/proc/sys/kernel", "inside /proc"),
        ("/root/proc/cpuinfo/x", "inside /proc"),
        ("/root2/proc", "not in the container's root"),
        ("/", "not in the container's root"),
        ("/root/proc/cpuinfo", ""),
        ("/root/procs", ""),
        ("/root/sys/firmware", ""),
    ],
)
def test_where_a_descriptor_leads_decides(
    context: Context, system: RecordingSystem, monkeypatch: pytest.MonkeyPatch, place: str, cause: str
) -> None:
    """Whatever the name was that led there, and wherever a directory has been moved to since."""
    monkeypatch.setitem(PLACES, "/proc/self/fd/50", place)
    for step in (["mount", "tmpfs", "tmpfs", "/innocent", 0, "mode=755"], ["bind", "/host", "/innocent", {}]):
        if cause:
            assert cause in failure(context, step).detail
            assert {"mount", "move_mount"}.isdisjoint(system.names())
        else:
            steps.run(context, [step])


def test_bind_sets_its_options_before_it_is_seen(context: Context, system: RecordingSystem) -> None:
    options = {"recursive": True, "read_only": True, "propagation": "rslave", "create": True}
    steps.run(context, [["bind", "/src", "/dst", options]])
    names = system.names()
    assert (
        names.index("mkdir")
        < names.index("open_tree")
        < names.index("mount_setattr")
        < names.index("move_mount")
    )
    assert system.of("mount_setattr") == [
        (52, {"attr_set": mounts.MOUNT_ATTR_RDONLY, "propagation": mounts.MS_SLAVE, "recursive": True})
    ]
    assert system.of("move_mount") == [(52, 50)]


@pytest.mark.parametrize("op", ["mask", "read_only"])
@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTDIR])
def test_missing_paths_are_skipped(init: tuple[socket.socket, socket.socket], op: str, number: int) -> None:
    system = RecordingSystem(fails={"openat2": KernelError(number, "openat2")})
    steps.run(context_of(system, init), [[op, "/proc/none"]])
    assert system.names() == ["openat2"]


def test_a_false_null_masks_nothing(init: tuple[socket.socket, socket.socket]) -> None:
    """CVE-2025-31133: what lies at /dev/null is bound only if it is the null device."""
    system = RecordingSystem(answers={"fstat": os.stat("/etc/passwd")})
    failed = failure(context_of(system, init), ["mask", "/proc/kcore"])
    assert str(failed) == "mask /proc/kcore: /dev/null is not the null device"
    assert "move_mount" not in system.names()


def test_pivot(context: Context, system: RecordingSystem) -> None:
    steps.run(context, [["pivot"]])
    assert system.calls == [
        ("fchdir", 40), ("pivot_root", ".", "."), ("umount", ".", mounts.MNT_DETACH), ("chdir", "/")
    ]  # fmt: skip


def test_console_checks_the_device(init: tuple[socket.socket, socket.socket]) -> None:
    system = RecordingSystem(answers={"is_ptmx": False})
    assert str(failure(context_of(system, init), ["console"])).startswith("console: /dev/pts/ptmx is not")


def test_console_of_an_exec_binds_nothing(init: tuple[socket.socket, socket.socket]) -> None:
    system = RecordingSystem(answers={"openat2": os.open("/dev/null", os.O_RDONLY)})
    context = context_of(system, init)
    context.inside = True
    steps.run(context, [["console"]])
    assert "move_mount" not in system.names()
    assert system.of("dup2") == [(53, 0), (53, 1), (53, 2)]
    assert system.calls[-1] == ("make_controlling", 0)
    os.close(system.answers["openat2"])


def test_credentials_of_root(context: Context, system: RecordingSystem) -> None:
    context.groups = [0, 7]
    steps.run(context, [["credentials", ["CAP_CHOWN", "CAP_KILL", "CAP_SYS_NEWER_THAN_US"]]])
    assert system.of("drop_bounding") == [([n for n in range(41) if n not in (0, 5)],)]
    assert system.names()[-6:] == [
        "drop_bounding",
        "setgroups",
        "setresgid",
        "setresuid",
        "ambient_clear",
        "set_caps",
    ]
    assert system.of("set_caps") == [({0, 5}, {0, 5}, ())]


def test_credentials_of_another_user(context: Context, system: RecordingSystem) -> None:
    context.uid, context.gid, context.groups = 33, 34, [34]
    steps.run(context, [["credentials", ["CAP_CHOWN"]]])
    assert system.of("set_caps") == [(set(), set(), ())]
    assert system.of("fchown") == [(0, 33, -1), (1, 33, -1), (2, 33, -1)]


def test_exec_environment(context: Context, system: RecordingSystem) -> None:
    """A name without value is no variable; HOME is the user's, unless it was given."""
    context.home = "/srv"
    context.workdir = "/"
    failure(context, ["exec", ["prog"], ["PATH=/a::/b", "A=1=2", "NOVALUE", "=x"], "/"])
    environment = {"PATH": "/a::/b", "A": "1=2", "HOME": "/srv"}
    assert system.of("execve") == [
        (path, ["prog"], environment) for path in ("/a/prog", "./prog", "/b/prog")
    ]  # fmt: skip
    assert system.names().index("close_on_exec_from") < system.names().index("execve")


@pytest.mark.parametrize(
    ("program", "number", "text", "code"),
    [
        ("prog", errno.ENOENT, "exec prog: executable file not found in $PATH", 127),
        ("/prog", errno.ENOENT, "exec /prog: No such file or directory", 127),
        ("prog", errno.EACCES, "exec prog: Permission denied", 126),
        ("/prog", errno.ENOEXEC, "exec /prog: Exec format error", 126),
    ],
)
def test_exec_failures(
    init: tuple[socket.socket, socket.socket], program: str, number: int, text: str, code: int
) -> None:
    system = RecordingSystem(fails={"execve": OSError(number, os.strerror(number))})
    failed = failure(context_of(system, init), ["exec", [program], [], "/"])
    assert (str(failed), failed.exit_code) == (text, code)


@pytest.mark.parametrize("letter", ["u", "\U0001f40b"])
def test_what_is_told_fits_in_a_packet(
    context: Context, init: tuple[socket.socket, socket.socket], letter: str
) -> None:
    """Both what the step is called and why it failed hold what somebody has typed, however long."""
    failed = failure(context, ["user", letter * 100_000, []])
    context.tell({"failed": failed.label, "errno": failed.number, "detail": failed.detail})
    told = json.loads(init[0].recv(MAX_REPORT))
    assert told["failed"].startswith(f"user {letter}") and told["detail"].startswith("unable to find user")


@pytest.mark.parametrize("cwd", ["(unreachable)/etc", ""])
def test_a_working_directory_outside(init: tuple[socket.socket, socket.socket], cwd: str) -> None:
    """CVE-2024-21626."""
    system = RecordingSystem(answers={"getcwd": cwd})
    failed = failure(context_of(system, init), ["workdir", "/x"])
    assert str(failed) == "workdir /x: the working directory is outside of the container"


def test_sysctl_needs_a_real_proc(context: Context, system: RecordingSystem) -> None:
    failed = failure(context, ["sysctl", "net.ipv4.ip_forward", "1"])
    assert failed.label == "sysctl net.ipv4.ip_forward"
    assert "write" not in system.names()
    system.answers["filesystem_type"] = mounts.PROC_SUPER_MAGIC
    steps.run(context, [["sysctl", "net.ipv4.ip_forward", "1"]])
    assert system.of("write") == [(50, b"1")]


def test_seccomp_is_loaded_from_its_descriptor(context: Context, system: RecordingSystem) -> None:
    context.fds["seccomp"] = 61
    steps.run(context, [["seccomp", "seccomp", 4]])
    assert system.of("load_seccomp") == [(61, 4)]
    assert failure(context, ["seccomp", "other", 4]).number == errno.EBADF


def test_an_apparmor_profile_is_asked_for_in_the_host_s_proc(
    context: Context, system: RecordingSystem
) -> None:
    """CVE-2025-52881: a file of /proc is never looked up where a container could have put something else."""
    steps.run(context, [["apparmor", "lxc-default"]])
    assert system.of("open")[0][0] == "/proc/self/attr/apparmor/exec"
    assert system.of("write") == [(51, b"exec lxc-default")]
    system.fails["write"] = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    assert str(failure(context, ["apparmor", "none"])) == "apparmor profile none: No such file or directory"


def test_a_device_of_the_host_has_its_owner_and_its_type(context: Context, system: RecordingSystem) -> None:
    steps.run(context, [["device", "/dev/disk", 0o60640, 8, 1, 0, 6]])
    assert system.of("mknod") == [("disk", 0o60640, os.makedev(8, 1), {"dir_fd": 50})]
    assert system.of("chown") == [("disk", 0, 6, {"dir_fd": 50, "follow_symlinks": False})]


@pytest.mark.parametrize(
    ("there", "kept"), [("/dev/null", True), ("/dev/zero", False), ("/etc/passwd", False)]
)
def test_a_device_of_the_run_before_is_kept_and_nothing_else(
    context: Context, system: RecordingSystem, there: str, kept: bool
) -> None:
    system.fails["mknod"] = FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    system.answers["stat"] = os.stat(there)
    step = ["device", "/data/null", 0o20666, 1, 3, 0, 0]
    if kept:
        steps.run(context, [step])
    else:
        assert failure(context, step).number == errno.EEXIST


def test_joining_a_cgroup_names_the_file(init: tuple[socket.socket, socket.socket]) -> None:
    system = RecordingSystem(fails={"open": OSError(errno.ENOENT, os.strerror(errno.ENOENT))})
    failed = failure(context_of(system, init), ["join_cgroups", ["/sys/fs/cgroup/cpu/x/tasks"]])
    assert str(failed) == "join the cgroups: /sys/fs/cgroup/cpu/x/tasks: No such file or directory"


def test_user_namespace_waits_for_the_maps(context: Context, system: RecordingSystem) -> None:
    context.fds["sync"] = 60
    steps.run(context, [["user_namespace"]])
    assert system.names() == ["read", "close", "setgroups", "setresgid", "setresuid"]
    system.answers["read"] = b""
    context.fds["sync"] = 60
    assert failure(context, ["user_namespace"]).detail == "the keeper wrote no id maps"


@pytest.mark.parametrize(
    "step", [[], ["nothing"], [7], [["list"]], ["mount"], ["rlimit", "nofile", "a"], ["exec"]]
)
def test_malformed_steps(context: Context, step: Step) -> None:
    assert failure(context, step).number == errno.EINVAL
