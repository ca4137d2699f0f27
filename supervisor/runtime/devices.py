"""Docker's default devices, as data (moby oci/defaults.go, Documentation/admin-guide/devices.txt)."""

from __future__ import annotations

from typing import NamedTuple


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
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
)
"""Names in /dev and what they say; the core is masked, as it is in docker."""

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
