"""Finds the devices of the host that a container asks for: --device, and all of them for --privileged."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from pysup.supervisor.errors import StartFailed
from pysup.supervisor.runtime.devices import NODES, HostNode
from pysup.supervisor.spec.container import HostDevice, Security

_DEV = "/dev"
_NOT_SHARED = frozenset({"pts", "shm", "fd", "mqueue", "console", "ptmx", ".lxc", ".lxd-mounts", ".udev"})
"""Names in /dev that are a container's own, or another one's."""
_EVERYTHING = "rwm"


def find(security: Security, what: str) -> tuple[HostNode, ...]:
    """The nodes to make, one for each target; ``what`` gets them ("container web"). Raises StartFailed."""
    if not security.privileged and not security.devices:
        return ()
    own = {f"{_DEV}/{node.name}" for node in NODES}
    found = {node.target: node for node in (_all() if security.privileged else ()) if node.target not in own}
    for device in security.devices:
        try:
            found |= {node.target: node for node in _asked(device)}
        except OSError as error:
            raise StartFailed(what, f"device {device.source}", error.errno or 0) from error
    return tuple(found.values())


def _all() -> Iterator[HostNode]:
    with os.scandir(_DEV) as entries:
        names = sorted(entry.name for entry in entries if entry.name not in _NOT_SHARED)
    for name in names:
        yield from _below(HostDevice(f"{_DEV}/{name}", f"{_DEV}/{name}", _EVERYTHING))


def _asked(device: HostDevice) -> list[HostNode]:
    """A link leads to the device; of a directory, all devices in it. Raises OSError if there is none."""
    real = HostDevice(os.path.realpath(device.source, strict=True), device.target, device.access)
    found = list(_below(real))
    if not found:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    return found


def _below(device: HostDevice) -> Iterator[HostNode]:
    """Links, sockets and the like are left out, and what goes while it is looked at."""
    try:
        status = os.lstat(device.source)
        names = sorted(os.listdir(device.source)) if stat.S_ISDIR(status.st_mode) else []
    except FileNotFoundError:
        return
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        yield HostNode(
            device.source, device.target, status.st_mode, os.major(status.st_rdev), os.minor(status.st_rdev),
            status.st_uid, status.st_gid, device.access,
        )  # fmt: skip
    for name in names:
        inner = HostDevice(f"{device.source}/{name}", f"{device.target}/{name}", device.access)
        yield from _below(inner)
