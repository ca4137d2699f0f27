"""Steps that enter namespaces and cgroups and set what a namespace holds (namespaces(7), cgroups(7))."""

from __future__ import annotations

import contextlib
import errno
import os

from pysup.supervisor.keeper import exhaustion
from pysup.supervisor.keeper.steps import lookup
from pysup.supervisor.keeper.steps.context import Context, StepError
from pysup.supervisor.kernel import mounts, paths, process


def user_namespace(context: Context, opened: dict[str, str] | None = None) -> None:
    """Wait until the keeper has written the id maps, then be root inside. user_namespaces(7).

    The paths in ``opened`` are opened before, under these names: the process still has the host root's ids, and
    may search root's private directories as their owner; the mapped root may not.
    """
    sync = context.fds.pop("sync", None)
    if sync is not None:
        if context.system.read(sync, 1) != b"1":
            raise StepError(errno.EPIPE, "the keeper wrote no id maps")
        context.system.close(sync)
    context.opened = opened or {}
    for name, path in context.opened.items():
        context.fds[name] = _open_source(context, path)
    context.system.setgroups([])
    context.system.setresgid(0, 0, 0)
    context.system.setresuid(0, 0, 0)


def _open_source(context: Context, path: str) -> int:
    try:
        return context.system.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise StepError(error.errno or errno.EIO, f"{path}: {error.strerror}") from error


def join_cgroups(context: Context, paths: list[str]) -> None:
    """Write 0, which means the writer, to each ``tasks`` file: 28 µs, where cgroup.procs takes 9 ms (cgroup
    v1).
    """
    for path in paths:
        try:
            fd = context.system.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                context.system.write(fd, b"0")
            finally:
                context.system.close(fd)
        except OSError as error:
            raise StepError(error.errno or errno.EIO, f"{path}: {error.strerror}") from error


def unshare(context: Context, flags: int) -> None:
    """Enter new namespaces that must begin late: a cgroup namespace's root is where its maker is by then."""
    for name, flag in process.NAMESPACES.items():
        if flags & flag:
            _unshare(context, name, flag)


def _unshare(context: Context, name: str, flag: int) -> None:
    """One by one, so that an error can name the one that there is no more of."""
    try:
        context.system.unshare(flag)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise StepError(errno.ENOSPC, exhaustion.of_namespace(name)) from error


def setns(context: Context, name: str, flags: int) -> None:
    """Enter the namespaces of a descriptor; with a mount namespace comes its root directory."""
    context.system.setns(context.fd(name), flags)
    if flags & process.CLONE_NEWNS:
        context.root = context.system.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        context.inside = True


def propagation(context: Context, name: str) -> None:
    """Set how mounts travel between this namespace and the host's (mount_namespaces(7))."""
    context.system.mount("none", "/", "", mounts.MS_REC | mounts.PROPAGATION[name.removeprefix("r")])


def hostname(context: Context, name: str) -> None:
    """Set the uts namespace's host name."""
    context.system.set_hostname(name)


def domainname(context: Context, name: str) -> None:
    """Set the uts namespace's NIS domain name."""
    context.system.set_domainname(name)


def loopback(context: Context) -> None:
    """Bring the network namespace's lo up."""
    context.system.loopback_up()


def default_sysctl(context: Context, key: str, value: str) -> None:
    """Write a kernel parameter of the new network namespace, through the host's /proc: nobody has asked for it.

    So it stays as it is where the kernel has none of this name, or this daemon may not write it.
    """
    with contextlib.suppress(OSError):
        fd = context.system.open("/proc/sys/" + key.replace(".", "/"), os.O_WRONLY | os.O_CLOEXEC)
        try:
            context.system.write(fd, value.encode())
        finally:
            context.system.close(fd)


def sysctl(context: Context, key: str, value: str) -> None:
    """Write a kernel parameter of the new namespaces through the container's own, verified /proc (sysctl(8)).

    Comes after the mount of /proc and before /proc/sys is made read-only.
    """
    path = "/proc/sys/" + key.replace(".", "/")
    fd = lookup.open_in(context, path, os.O_WRONLY, resolve=paths.NO_LINKS)
    try:
        if context.system.filesystem_type(fd) != mounts.PROC_SUPER_MAGIC:
            raise StepError(errno.EINVAL, f"{path} is not in a proc file system")
        context.system.write(fd, value.encode())
    finally:
        context.system.close(fd)
