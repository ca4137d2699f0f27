"""Processes and their namespaces: clone3(2), pidfd_open(2), waitid(2), setns(2), unshare(2), prctl(2)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import struct

from pysup.supervisor.kernel import libc, numbers

CLONE_NEWTIME = 0x00000080
CLONE_FILES = 0x00000400
CLONE_PIDFD = 0x00001000
CLONE_PARENT = 0x00008000
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_INTO_CGROUP = 0x200000000

NAMESPACES = {
    "mnt": CLONE_NEWNS, "pid": CLONE_NEWPID, "uts": CLONE_NEWUTS, "ipc": CLONE_NEWIPC,
    "net": CLONE_NEWNET, "cgroup": CLONE_NEWCGROUP, "user": CLONE_NEWUSER, "time": CLONE_NEWTIME,
}  # fmt: skip
"""The names in /proc/PID/ns with their clone flags (namespaces(7))."""

_SYS_CLONE3 = 435
WALL = 0x40000000
"""__WALL of waitpid(2): also wait for children that were cloned with an exit signal other than SIGCHLD."""
_CLONE_ARGS = struct.Struct("=11Q")
_PIDFD = struct.Struct("=i")
_pidfd = libc.buffer(_PIDFD.size)
_PIDFD_AT = libc.address(_pidfd)

_KEYCTL_JOIN_SESSION_KEYRING = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_NAME = 15
_NAME_SIZE = 16
_name = libc.buffer(_NAME_SIZE)

_PIDFD_GET_INFO = 0xC040FF0B
"""_IOWR(0xFF, 11, struct pidfd_info) with the 64 bytes that the structure had in Linux 6.13."""
_PIDFD_INFO_EXIT = 1 << 3
_PIDFD_INFO = struct.Struct("=QQ11Ii")

_PADDING = (0,) * 4

_setns = libc.bind("setns", libc.c_int, libc.c_int)
_unshare = libc.bind("unshare", libc.c_int)
_prctl = libc.bind("prctl", libc.c_int, libc.c_ulong, libc.c_ulong, libc.c_ulong, libc.c_ulong)


def clone3(flags: int, *, cgroup_fd: int | None = None, exit_signal: int = 0) -> tuple[int, int]:
    """Make a child: (pid, pidfd) in the parent, (0, -1) in the child. clone3(2), Linux 5.7 for ``cgroup_fd``.

    No at-fork handler of libc or Python runs: the caller is single-threaded, and so is the child.
    """
    flags |= CLONE_PIDFD | (CLONE_INTO_CGROUP if cgroup_fd is not None else 0)
    arguments = _CLONE_ARGS.pack(flags, _PIDFD_AT, 0, 0, exit_signal, 0, 0, 0, 0, 0, cgroup_fd or 0)
    pid = libc.syscall(_SYS_CLONE3, "clone3", arguments, _CLONE_ARGS.size)
    return pid, _PIDFD.unpack_from(_pidfd)[0] if pid else -1


def pidfd_open(pid: int) -> int:
    """A descriptor for a process (close-on-exec). pidfd_open(2), Linux 5.3."""
    return os.pidfd_open(pid)


def pidfd_send_signal(pidfd: int, number: int) -> bool:
    """Send a signal; False if the process has ended already. pidfd_send_signal(2), Linux 5.1."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    return True


def waitid_pidfd(pidfd: int, *, reap: bool) -> int | None:
    """The status (as from waitpid(2)) of a child that ended, None while it runs. Does not block. waitid(2).

    With ``reap`` false the zombie stays, with its pid and its status.
    Raises ChildProcessError for what is not a child of the caller.
    """
    options = os.WEXITED | os.WNOHANG | WALL | (0 if reap else os.WNOWAIT)
    return _status(os.waitid(os.P_PIDFD, pidfd, options))


def kill_and_reap(pidfd: int) -> None:
    """End a child that nobody needs, and wait for its end."""
    pidfd_send_signal(pidfd, signal.SIGKILL)
    os.waitid(os.P_PIDFD, pidfd, os.WEXITED | WALL)


def reap_if_ours(pidfd: int) -> None:
    """Reap a process that has ended, if it is a child of the caller."""
    with contextlib.suppress(ChildProcessError):
        waitid_pidfd(pidfd, reap=True)


def children() -> list[int]:
    """The pids of the caller's children, the dead included; none if the kernel has no such list.

    /proc/PID/task/TID/children of proc_tid_children(5): needs CONFIG_PROC_CHILDREN.
    """
    with (
        contextlib.suppress(FileNotFoundError),
        open(f"/proc/self/task/{os.getpid()}/children", "rb") as file,
    ):
        return [int(pid) for pid in file.read().split()]
    return []


def reap_orphan(pid: int) -> int | None:
    """Reap one child by its pid if it has ended; its status, or None."""
    return _status(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | WALL))


def _status(result: os.waitid_result | None) -> int | None:
    """The two values of siginfo_t in waitpid's single one."""
    if result is None or result.si_pid == 0:
        return None
    if result.si_code == os.CLD_EXITED:
        return (result.si_status & 0xFF) << 8
    return result.si_status | (0x80 if result.si_code == os.CLD_DUMPED else 0)


def pidfd_exit_info(pidfd: int) -> int | None:
    """The status of a process, child or not, once it was reaped by its parent; None if it cannot be had.

    PIDFD_GET_INFO with PIDFD_INFO_EXIT, Linux 6.15; the pidfd must have been open before the reaping.
    """
    request = bytearray(_PIDFD_INFO.size)
    struct.pack_into("=Q", request, 0, _PIDFD_INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, request)
    except OSError:
        return None
    fields = _PIDFD_INFO.unpack(request)
    return int(fields[13]) & 0xFFFF if fields[0] & _PIDFD_INFO_EXIT else None


def setns(fd: int, flags: int) -> None:
    """Enter the namespace of ``fd``, or those in ``flags`` of a process by its pidfd. setns(2)."""
    libc.check(_setns(fd, flags), "setns")


def unshare(flags: int) -> None:
    """Enter new namespaces. unshare(2)."""
    libc.check(_unshare(flags), "unshare")


def prctl(option: int, call: str, *arguments: int) -> int:
    """prctl(2) with up to four arguments."""
    return libc.check(_prctl(option, *arguments, *_PADDING[len(arguments) :]), call)


def forbid_dump() -> None:
    """Keep /proc/self (exe, fd, mem) from others of the same uid until execve. PR_SET_DUMPABLE(2const)."""
    prctl(_PR_SET_DUMPABLE, "prctl PR_SET_DUMPABLE", 0)


def join_new_keyring() -> None:
    """Have a session keyring of its own, so that no key of who started us is reached (session-keyring(7)).

    Left as it is where the kernel has no keys, or the user no room for one more (keyrings(7)).
    """
    try:
        libc.syscall(numbers.KEYCTL, "keyctl", _KEYCTL_JOIN_SESSION_KEYRING, 0)
    except libc.KernelError as error:
        if error.errno not in (errno.ENOSYS, errno.EDQUOT, errno.EPERM):
            raise


def set_subreaper() -> None:
    """Become the parent of orphaned descendants. PR_SET_CHILD_SUBREAPER(2const)."""
    prctl(_PR_SET_CHILD_SUBREAPER, "prctl PR_SET_CHILD_SUBREAPER", 1)


def set_no_new_privs() -> None:
    """No execve gains privileges from here on. PR_SET_NO_NEW_PRIVS(2const)."""
    prctl(_PR_SET_NO_NEW_PRIVS, "prctl PR_SET_NO_NEW_PRIVS", 1)


def set_name(name: str) -> None:
    """The name that ps shows (15 bytes). PR_SET_NAME(2const)."""
    _name.value = libc.text(name)[: _NAME_SIZE - 1]
    prctl(_PR_SET_NAME, "prctl PR_SET_NAME", libc.address(_name))


def pidfd_alive(pidfd: int) -> bool:
    """Tell whether the process runs still (poll(2) of a pidfd: readable once it has ended)."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return not poll.poll(0)


def pidfd_pid(pidfd: int) -> int:
    """The pid of a pidfd's process, -1 once it was reaped (``Pid:`` in /proc/self/fdinfo, pidfd_open(2))."""
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:
        return next((int(line.split()[1]) for line in file if line.startswith("Pid:")), -1)
