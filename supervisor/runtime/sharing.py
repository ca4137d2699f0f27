"""Binds by which mounts travel: with ``shared``, what is mounted in the directory on either side is seen on both, and
with ``slave``, what the host mounts is seen in the container (mount_namespaces(7)).

Both only where the host's own mount takes part in it: one that is private tells nobody of anything, and a container
that waits for it would wait for ever (moby daemon/oci_linux.go, ensureShared).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.kernel import mountinfo, mounts
from pysup.supervisor.kernel.libc import AT_FDCWD
from pysup.supervisor.runtime import filesystems
from pysup.supervisor.runtime.filesystems import Mount as Mounted
from pysup.supervisor.spec.container import ContainerSpec, Mount

_FITTING = {"shared": ("shared:",), "slave": ("shared:", "master:")}
"""The fields of mountinfo that a mount must have for it (proc_pid_mountinfo(5))."""


@contextmanager
def shared(spec: ContainerSpec) -> Iterator[dict[str, int]]:
    """A copy of the host's mount for each bind that is to be shared with it, by target; closed after the block.

    It is made here, outside: within the container's namespace every mount is the host's slave at most.
    Raises OSError, BadRequest where the host's mount is private.
    """
    with ExitStack() as stack:
        found = {}
        for mount in spec.mounts:
            kind = mount.propagation.removeprefix("r")
            if mount.kind == "bind" and kind in _FITTING:
                _make(mount)
                _check(mount, kind)
            if mount.kind == "bind" and kind == "shared":
                found[mount.target] = mounts.open_tree(AT_FDCWD, mount.source, recursive=mount.recursive)
                stack.callback(os.close, found[mount.target])
        yield found


def _make(mount: Mount) -> None:
    if mount.create_source and not os.path.lexists(mount.source):
        os.makedirs(mount.source, 0o755, exist_ok=True)


def _check(mount: Mount, kind: str) -> None:
    below = _mount_of(mount.source)
    if not any(field.startswith(_FITTING[kind]) for field in below.propagation):
        raise BadRequest(
            f"cannot mount {mount.source} with propagation {mount.propagation}: it lies in the mount {below.point}, "
            f"which is private (mount --make-shared {below.point})"
        )


def _mount_of(path: str) -> Mounted:
    """The mount that shows a path. Raises OSError."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
            number = next(int(line.split()[1]) for line in file if line.startswith("mnt_id:"))
    finally:
        os.close(fd)
    return next(one for one in filesystems.parse(mountinfo.read()) if one.id == number)
