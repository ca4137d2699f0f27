"""A lower layer as a mount of its own, for a start in a user namespace.

There all mounts below ``/`` are locked, so that nobody can look at what they cover (mount_namespaces(7)), and
overlayfs refuses a layer with locked mounts below it. A copy without them, made outside and moved in, has none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pysup.supervisor.kernel import mounts
from pysup.supervisor.kernel.libc import AT_FDCWD
from pysup.supervisor.runtime import plan
from pysup.supervisor.spec.container import ContainerSpec


@contextmanager
def detached(spec: ContainerSpec, below: Sequence[plan.Below] = ()) -> Iterator[dict[str, int]]:
    """What to attach to the spawn, by name; closed after the block. ``below``: as in Facts. Raises OSError."""
    with ExitStack() as stack:
        yield {name: _copy(path, stack) for name, path in plan.detached_layers(spec, below).items()}


def _copy(path: str, stack: ExitStack) -> int:
    tree = mounts.open_tree(AT_FDCWD, path)
    stack.callback(os.close, tree)
    mounts.mount_setattr(tree, propagation=mounts.MS_PRIVATE)
    return tree
