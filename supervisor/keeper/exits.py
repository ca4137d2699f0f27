"""How a process ended: of a child by waitid(2), of another's child by what the kernel still tells.

After a keeper was killed, its containers are the children of init, which reaps them at once. The status is
then in /proc/PID/stat while the zombie is there, and after the reaping in PIDFD_GET_INFO (Linux 6.15).
Failing both it is unknown, which is said as exit code 255.
"""

from __future__ import annotations

from pysup.supervisor.kernel import process

UNKNOWN = 255 << 8
_EXIT_CODE = 52 - 3
"""Field 52 of proc_pid_stat(5), counted from the one after the command's name."""


def exit_status(pid: int, pidfd: int) -> int | None:
    """The status of a process as from waitpid(2), None while it runs. A child stays a zombie."""
    try:
        return process.waitid_pidfd(pidfd, reap=False)
    except ChildProcessError:
        return _status_of_stranger(pid, pidfd)


def _status_of_stranger(pid: int, pidfd: int) -> int | None:
    if process.pidfd_alive(pidfd):
        return None
    for _look in range(2):  # it may be reaped between the first source and the second
        for status in (_status_of_zombie(pid, pidfd), process.pidfd_exit_info(pidfd)):
            if status is not None:
                return status
    return UNKNOWN


def _status_of_zombie(pid: int, pidfd: int) -> int | None:
    """The exit code of a zombie, if the pid is still that of the pidfd's process when it was read."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, *fields = file.read().rpartition(b") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[_EXIT_CODE - 1]) if state == b"Z" and process.pidfd_pid(pidfd) == pid else None
