"""A lower layer as a mount of its own, for a start in a user namespace.

There all mounts below ``/`` are locked, so that nobody can look at what they cover (mount_namespaces(7)), and
overlayfs refuses a layer with locked mounts below it. A copy without them, made outside and moved in, has none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pysup.supervisor.kernel import mounts
from pysup.supervisor.kernel.libc import AT_FDCWD
from pysup.supervisor.runtime import plan
from pysup.supervisor.spec.container import ContainerSpec


@contextmanager
def detached(spec: ContainerSpec) -> Iterator[dict[str, int]]:
    """What to attach to the spawn, by name; closed after the block. Raises OSError."""
    if not plan.needs_detached_layer(spec):
        yield {}
        return
    tree = mounts.open_tree(AT_FDCWD, spec.rootfs.lower[0])
    try:
        mounts.mount_setattr(tree, propagation=mounts.MS_PRIVATE)
        yield {plan.LAYER: tree}
    finally:
        os.close(tree)
