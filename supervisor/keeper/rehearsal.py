"""Work through a plan in the keeper, without effect, before the first child does it in earnest.

A child is a copy of the keeper, made anew for each container. CPython 3.11 adapts a function's code to its use
while it runs (PEP 659), fills caches and makes objects on first use: what every child would do again, each write
costing it the copy of a page (3 µs), is done here once: half a millisecond of each start's six.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from typing import Any

from pysup.supervisor.keeper import steps
from pysup.supervisor.keeper.steps.context import Context
from pysup.supervisor.keeper.system import System
from pysup.supervisor.kernel import capabilities, files, mounts
from pysup.supervisor.kernel.libc import AT_FDCWD

ROUNDS = 16
"""Calls after which CPython 3.11 and 3.12 have adapted a function; more gain nothing."""
_REAL = frozenset(
    ("openat2", "open", "close", "fstat", "filesystem_type", "getcwd", "permitted", "last_cap", "readlink")
)
_EFFECTLESS: dict[str, tuple[Any, ...]] = {
    "mount": ("none", "", "", 0, "size=1"),
    "mount_setattr": (-1,),
    "move_mount": (-1, -1),
    "open_tree": (-1, ""),
    "setns": (-1, 0),
    "drop_bounding": ([-1],),
    "chdir": ("",),
    "fchdir": (-1,),
    "mkdir": ("",),
    "umount": ("",),
    "pivot_root": ("", ""),
    "fchown": (-1, -1, -1),
    "setresgid": (-1, -1, -1),
    "setresuid": (-1, -1, -1),
    "execve": ("", ["true"], {}),
}
"""Calls that are made with arguments that the kernel refuses, or that change nothing, so that their wrappers have run
too, and what they call in libraries has been looked for (ld.so(8)).
"""


class Rehearsal(System):
    """A System that reads and opens, and changes nothing."""

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - any of System's calls
        if name in _REAL:
            return object.__getattribute__(self, name)
        return _refused(name)


def _refused(name: str) -> Callable[..., Any]:
    def call(*_arguments: object, **_named: object) -> Any:  # noqa: ANN401
        if name in _EFFECTLESS:
            with contextlib.suppress(OSError):
                getattr(System, name)(*_EFFECTLESS[name])
        if name == "open_tree":
            return os.open("/dev/null", os.O_PATH | os.O_CLOEXEC)
        return b"1" if name == "read" else 1

    return call


def rehearse() -> None:
    """Go through a plan with every op that a container usually has, ROUNDS times."""
    document = json.dumps({"steps": _PLAN}).encode()
    for _round in range(ROUNDS):
        plan = files.memory_file("rehearsal", document)
        try:
            _rehearse(plan)
        finally:
            os.close(plan)


def _rehearse(plan: int) -> None:
    root = mounts.openat2(AT_FDCWD, "/", os.O_PATH | os.O_DIRECTORY)
    context = Context(Rehearsal(), {"init": -1, "plan": plan})
    context.root = root
    try:
        for step in json.loads(files.read_all(plan, 1 << 20))["steps"]:
            with contextlib.suppress(steps.Failed):
                steps.run(context, [step])
    finally:
        for fd in (root, *context.holders.values()):
            os.close(fd)


_PLAN: list[list[Any]] = [
    ["join_cgroups", ["/dev/null"]],
    ["unshare", 0],
    ["propagation", "private"],
    [
        "overlay",
        {"lower": ["/"], "upper": "/u", "work": "/w", "target": "/t", "volatile": True, "options": []},
    ],
    ["mount", "tmpfs", "tmpfs", "/dev", 0, "mode=755"],
    ["mount", "cgroup", "cgroup", "/dev/pids", 0, "pids"],
    ["mount", "tmpfs", "tmpfs", "/tmp", 0, "mode=755"],  # noqa: S108
    [
        "bind",
        "/etc/hostname",
        "/etc/hostname",
        {"recursive": True, "read_only": True, "propagation": "rprivate"},
    ],
    ["device", "/dev/null", 0o666, 1, 3],
    ["symlink", "/proc/self/fd", "/dev/fd"],
    ["mask", "/proc/keys"],
    ["mask", "/proc/none"],
    ["read_only", "/proc/sys"],
    ["pivot"],
    ["hostname", "x"],
    ["loopback"],
    ["default_sysctl", "net.none", "0"],
    ["rlimit", "nofile", 1, 1],
    ["umask", 0o022],
    ["user", "", []],
    ["workdir", "/"],
    ["credentials", list(capabilities.NAMES)],
    ["no_new_privileges"],
    ["exec", ["true"], ["PATH=/bin:/usr/bin"], "/"],
]
