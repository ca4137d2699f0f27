"""The command line as if on another platform: ``python elsewhere.py darwin|win32 COMMAND…``.

What that platform lacks is taken away before anything of pysup is imported: functions, constants, modules.
"""

from __future__ import annotations

import _socket
import importlib.abc
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from types import ModuleType

LINUX_ONLY = (
    "fcntl",
    "pysup.supervisor.kernel",
    "pysup.supervisor.keeper",
    "pysup.supervisor.runtime",
    "pysup.supervisor.engine",
    "pysup.supervisor.api",
    "pyroute2",
    "trio",
)
_OF_OS = (
    *(
        "O_PATH",
        "O_TMPFILE",
        "O_LARGEFILE",
        "O_DIRECT",
        "O_NOATIME",
        "O_RSYNC",
        "P_PIDFD",
        "setns",
        "unshare",
    ),
    *("getxattr", "listxattr", "removexattr", "setxattr", "memfd_create", "pidfd_open", "splice", "sendfile"),
    *(
        "pipe2",
        "posix_fadvise",
        "posix_fallocate",
        "copy_file_range",
        "eventfd",
        "getrandom",
        "fdatasync",
        "waitid",
    ),
    *("sched_getaffinity", "sched_setaffinity", "sched_getscheduler", "getresuid", "setresuid", "getresgid"),
)
_OF_SOCKETS = (
    *("SO_PEERCRED", "SO_PASSCRED", "SO_DOMAIN", "SO_MARK", "SO_BINDTODEVICE", "SCM_CREDENTIALS"),
    *("AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG", "SOCK_CLOEXEC", "SOCK_NONBLOCK"),
    *(
        "MSG_NOSIGNAL",
        "MSG_CMSG_CLOEXEC",
        "MSG_MORE",
        "TCP_CORK",
        "TCP_QUICKACK",
        "TCP_USER_TIMEOUT",
        "TCP_KEEPIDLE",
    ),
)
_OF_SIGNALS = (
    "SIGPWR",
    "SIGSTKFLT",
    "SIGPOLL",
    "SIGCLD",
    "SIGRTMIN",
    "SIGRTMAX",
    "sigtimedwait",
    "sigwaitinfo",
)
ABSENT: dict[str, dict[ModuleType, tuple[str, ...]]] = {
    "darwin": {
        os: _OF_OS,
        select: ("epoll",),
        socket: _OF_SOCKETS,
        _socket: _OF_SOCKETS,
        signal: _OF_SIGNALS,
        time: ("CLOCK_BOOTTIME", "CLOCK_TAI"),
        resource: ("prlimit", "RUSAGE_THREAD"),
    },
    "win32": {
        os: (
            *_OF_OS,
            "fork",
            "posix_spawn",
            "geteuid",
            "getuid",
            "O_NOFOLLOW",
            "O_NONBLOCK",
            "mkfifo",
            "chown",
        ),
        select: ("epoll", "poll"),
        socket: (*_OF_SOCKETS, "AF_UNIX", "MSG_DONTWAIT"),
        signal: (*_OF_SIGNALS, "SIGHUP", "SIGQUIT", "SIGWINCH", "SIGTSTP", "SIGKILL", "SIGCONT", "SIGCHLD"),
    },
}
MODULES = {"darwin": LINUX_ONLY, "win32": (*LINUX_ONLY, "termios", "pwd", "grp", "resource")}


class _Absent(importlib.abc.MetaPathFinder):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if any(name == absent or name.startswith(absent + ".") for absent in self._names):
            raise ModuleNotFoundError(f"No module named {name!r} on this platform", name=name)


def become(name: str) -> None:
    """Make this process look as if it ran there."""
    for module, names in ABSENT[name].items():
        for each in names:
            vars(module).pop(each, None)
    for each in MODULES[name]:
        sys.modules.pop(each, None)
    sys.meta_path.insert(0, _Absent(MODULES[name]))
    if name == "win32":
        os.supports_dir_fd.clear()
    sys.platform = name


if __name__ == "__main__":
    platform, *words = sys.argv[1:]
    become(platform)
    from pysup.supervisor.cli.main import main

    sys.argv = ["pysup", *words]
    sys.exit(main())
