"""Paths inside the new root: always below its descriptor, with openat2(2) and RESOLVE_IN_ROOT.

A symbolic link in an image or a volume can lead nowhere but to another place in the container, and what was
looked up is used by descriptor, never by name again.
"""

from __future__ import annotations

import errno
import os
import stat

from pysup.supervisor.keeper.steps.context import Context, StepError
from pysup.supervisor.kernel import mounts, paths
from pysup.supervisor.kernel.libc import KernelError

_MOST_LINKS = 40
_DEEPEST = 200
"""Directories in each other that are made for a mount, or to work in: each takes some of the stack."""


def open_in(context: Context, path: str, flags: int, mode: int = 0, *, resolve: int = 0) -> int:
    """Open a path of the container. Raises KernelError."""
    return context.system.openat2(
        context.root, path.lstrip("/") or ".", flags, mode, resolve=paths.INSIDE | resolve
    )


def find(context: Context, path: str, *, directory: bool = False) -> int | None:
    """An O_PATH descriptor, None if there is nothing of that name."""
    try:
        return open_in(context, path, os.O_PATH | (os.O_DIRECTORY if directory else 0))
    except KernelError as error:
        if error.errno == errno.ENOENT:
            return None
        raise


def existing(context: Context, path: str) -> int:
    """An O_PATH descriptor of a directory. Raises KernelError if there is none."""
    return open_in(context, path, os.O_PATH | os.O_DIRECTORY)


def plain_directory(context: Context, path: str, mode: int = 0o755) -> int:
    """As directory(), for what may be no link, nor lie behind one: raises KernelError (ELOOP) then."""
    try:
        return _existing_plain(context, path)
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
    context.system.close(directory(context, path, mode=mode))
    return _existing_plain(context, path)


def _existing_plain(context: Context, path: str) -> int:
    return open_in(context, path, os.O_PATH | os.O_DIRECTORY, resolve=paths.NO_LINKS)


def directory(context: Context, path: str, links: int = 0, mode: int = 0o755) -> int:
    """An O_PATH descriptor of a directory, which is made with its parents if it is missing.

    A link that leads to nothing is followed: its target is made, as docker does it. ``mode`` is that of the last.
    """
    found = find(context, path, directory=True)
    if found is not None:
        return found
    if path.count("/") > _DEEPEST:
        raise StepError(errno.ENAMETOOLONG, f"no more than {_DEEPEST} directories in each other are made")
    above, name = os.path.split(path.rstrip("/"))
    parent = directory(context, above, links)
    try:
        context.system.mkdir(name, mode, dir_fd=parent)
        give_directory(context, name, parent)
    except FileExistsError:
        target = _follow(context, parent, name, links)
        return directory(context, os.path.join(above, target), links + 1, mode)
    finally:
        context.system.close(parent)
    return existing(context, path)


def file(context: Context, path: str, links: int = 0) -> int:
    """An O_PATH descriptor of a file (of any type); an empty one is made if there is none."""
    found = find(context, path)
    if found is not None:
        return found
    above, name = os.path.split(path.rstrip("/"))
    parent = directory(context, above)
    try:
        made = os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        new = context.system.open(name, made, 0o644, dir_fd=parent)
        _give(context, new)
    except FileExistsError:
        target = _follow(context, parent, name, links)
        return file(context, os.path.join(above, target), links + 1)
    finally:
        context.system.close(parent)
    return open_in(context, path, os.O_PATH)


def give_directory(context: Context, name: str, parent: int | None = None) -> None:
    """Let the owner have a directory that was just made, if there is one; what took its place meanwhile stays."""
    if context.owner is not None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        _give(context, context.system.open(name, flags, dir_fd=parent))


def _give(context: Context, fd: int) -> None:
    try:
        if context.owner is not None:
            context.system.fchown(fd, *context.owner)
    finally:
        context.system.close(fd)


def parent_of(context: Context, path: str) -> tuple[int, str]:
    """The directory that a name is to be made in, and the name. The descriptor stays the context's.

    Found once for a row of names in the same directory (/dev has a dozen); forget_parent() ends the row.
    """
    above, name = os.path.split(path.rstrip("/"))
    if context.parent is None or context.parent[0] != above:
        forget_parent(context)
        context.parent = above, directory(context, above)
    return context.parent[1], name


def forget_parent(context: Context) -> None:
    """Before anything is mounted: the same path may mean another directory afterwards."""
    if context.parent is not None:
        context.system.close(context.parent[1])
        context.parent = None


def _follow(context: Context, parent: int, name: str, links: int) -> str:
    """What a dangling link says. What /proc calls links are none: they lead to descriptors."""
    if links >= _MOST_LINKS or context.system.filesystem_type(parent) == mounts.PROC_SUPER_MAGIC:
        raise StepError(errno.ELOOP, os.strerror(errno.ELOOP))
    try:
        return context.system.readlink(name, dir_fd=parent)
    except OSError as error:
        raise StepError(errno.ENOTDIR, f"{name} is in the way") from error


def is_directory(context: Context, fd: int) -> bool:
    """Tell whether a descriptor is one of a directory."""
    return stat.S_ISDIR(context.system.fstat(fd).st_mode)
