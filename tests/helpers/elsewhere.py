"""The command line as if on another platform: ``python elsewhere.py darwin|win32 COMMAND…``.

What that platform lacks is taken away before anything of pysup is imported: functions, constants, modules.
"""

from __future__ import annotations

import importlib.abc
import os
import select
import signal
import socket
import sys
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
ABSENT: dict[str, dict[ModuleType, tuple[str, ...]]] = {
    "darwin": {
        os: ("pidfd_open", "splice", "memfd_create", "setns"),
        select: ("epoll",),
        socket: ("SO_PEERCRED", "AF_NETLINK"),
    },
    "win32": {
        os: ("pidfd_open", "splice", "memfd_create", "setns", "fork", "posix_spawn", "geteuid", "getuid"),
        select: ("epoll", "poll"),
        socket: ("SO_PEERCRED", "AF_NETLINK", "AF_UNIX", "MSG_DONTWAIT"),
        signal: ("SIGHUP", "SIGQUIT", "SIGWINCH", "SIGTSTP", "SIGKILL", "SIGCONT", "SIGCHLD"),
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
    sys.platform = name


if __name__ == "__main__":
    platform, *words = sys.argv[1:]
    become(platform)
    from pysup.supervisor.cli.main import main

    sys.argv = ["pysup", *words]
    sys.exit(main())
