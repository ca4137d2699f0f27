"""Docker's default devices, as data (moby oci/defaults.go, Documentation/admin-guide/devices.txt), and more of them."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from typing import NamedTuple

from pysup.supervisor.spec.container import Security


class Device(NamedTuple):
    """A character device of /dev that everybody may read and write."""

    name: str
    major: int
    minor: int


NODES = (
    Device("null", 1, 3),
    Device("zero", 1, 5),
    Device("full", 1, 7),
    Device("random", 1, 8),
    Device("urandom", 1, 9),
    Device("tty", 5, 0),
)
MODE = 0o666

LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)
"""Names in /dev and what they say: docker's, without /dev/core, which would lead to what is masked."""

CGROUP_RULES = (
    "c *:* m",
    "b *:* m",
    *(f"c {node.major}:{node.minor} rwm" for node in NODES),
    "c 5:1 rwm",  # console
    "c 5:2 rwm",  # ptmx
    "c 136:* rwm",  # pts
)
"""What the device cgroup allows after ``a`` is denied: any node may be made, only these may be opened.

The line format is that of devices.allow (Documentation/admin-guide/cgroup-v1/devices.rst).
"""

EVERY_DEVICE = ("a *:* rwm",)
"""What a privileged container may do."""


class HostNode(NamedTuple):
    """A device of the host, as a container gets it."""

    source: str
    target: str
    mode: int
    """With the type of the file: S_IFCHR or S_IFBLK."""
    major: int
    minor: int
    uid: int
    gid: int
    access: str

    @property
    def rule(self) -> str:
        """The line that allows it."""
        letter = "b" if stat.S_ISBLK(self.mode) else "c"
        return f"{letter} {self.major}:{self.minor} {self.access}"


def cgroup_rules(security: Security, nodes: Sequence[HostNode]) -> tuple[str, ...]:
    """All that a container's device cgroup allows."""
    if security.privileged:
        return EVERY_DEVICE
    return (*CGROUP_RULES, *(node.rule for node in nodes), *security.device_rules)
