"""Layers, volumes and directories of the host as mounts of their own, for a start in a user namespace.

There all mounts below ``/`` are locked, so that nobody can look at what they cover (mount_namespaces(7)), and
overlayfs refuses a layer with locked mounts below it. A copy without them, made outside and moved in, has none.

Such a copy can show other ids, too (idmapped mounts, mount_setattr(2)): what is root's on the disk is then the
container's root's, and what that makes there is root's on the disk. So no file has to be given away.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.kernel import mounts, paths
from pysup.supervisor.kernel.libc import AT_FDCWD, KernelError
from pysup.supervisor.runtime import plan
from pysup.supervisor.runtime.filesystems import type_of
from pysup.supervisor.spec.container import ContainerSpec

_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)


class CannotMap(Unavailable):
    """The file system, or the kernel, cannot show other ids; the text names it."""

    def __init__(self, path: str, *, refused: bool = False) -> None:
        """``refused``: the caller has no power over that file system."""
        if refused:
            super().__init__(
                f"cannot show {path} with the ids of a user namespace: only a daemon that is root can, as the kernel "
                f"asks for power over its file system itself ({type_of(path)})"
            )
            return
        super().__init__(
            f"cannot show {path} with the ids of a user namespace: "
            f"its file system ({type_of(path)}) has no idmapped mounts on Linux {os.uname().release}; "
            "--userns host does without"
        )


@contextmanager
def detached(spec: ContainerSpec, facts: plan.Facts, *, user: int | None = None) -> Iterator[dict[str, int]]:
    """The lower layers to attach to the spawn, by name; closed after the block.

    ``user``: the user namespace whose ids they are to show. Raises OSError, CannotMap.
    """
    skeleton = facts.machine.skeleton
    wanted = plan.detached_layers(spec, facts.below, idmapped=user is not None, skeleton=skeleton)
    with ExitStack() as stack:
        yield {name: _copy(path, stack, user) for name, path in wanted.items()}


def _copy(path: str, stack: ExitStack, user: int | None) -> int:
    tree = mounts.open_tree(AT_FDCWD, path)
    stack.callback(os.close, tree)
    mounts.mount_setattr(tree, propagation=mounts.MS_PRIVATE)
    if user is not None:
        give_ids(tree, user, path)
    return tree


@contextmanager
def mapped(wanted: Mapping[str, plan.Bound], user: int) -> Iterator[dict[str, int]]:
    """Volumes and directories with the ids of a user namespace, by the same keys. Raises OSError, CannotMap."""
    with ExitStack() as stack:
        yield {key: _mapped(bound, stack, user) for key, bound in wanted.items()}


def _mapped(bound: plan.Bound, stack: ExitStack, user: int) -> int:
    tree = _tree_of(bound)
    stack.callback(os.close, tree)
    mounts.mount_setattr(tree, propagation=mounts.MS_PRIVATE, recursive=bound.recursive)
    give_ids(tree, user, bound.path, recursive=bound.recursive)
    return tree


def _tree_of(bound: plan.Bound) -> int:
    """A link in a subpath leads to nothing but another place in the volume."""
    if not bound.subpath:
        return mounts.open_tree(AT_FDCWD, bound.path, recursive=bound.recursive)
    top = os.open(bound.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = mounts.openat2(top, bound.subpath, os.O_PATH, resolve=paths.INSIDE)
    except KernelError as error:
        raise OSError(error.errno, error.strerror, f"{bound.path}/{bound.subpath}") from error
    finally:
        os.close(top)
    try:
        return mounts.open_tree(found, "", recursive=bound.recursive)
    finally:
        os.close(found)


def give_ids(tree: int, user: int, path: str, *, recursive: bool = False) -> None:
    """Have a detached mount of ``path`` show the ids of a user namespace. Raises CannotMap."""
    try:
        mounts.mount_setattr(tree, attr_set=mounts.MOUNT_ATTR_IDMAP, userns_fd=user, recursive=recursive)
    except KernelError as error:
        if error.errno not in _CANNOT:
            raise
        raise CannotMap(path, refused=error.errno == errno.EPERM) from error


def why_unmappable(path: str, user: int) -> str:
    """Why a path cannot be shown with the ids of a user namespace; empty: it can. Raises OSError."""
    with ExitStack() as stack:
        try:
            _copy(path, stack, user)
        except CannotMap as error:
            return str(error)
        return ""
