"""Steps that show what the host has already: a copy of a mount, put on a path of the container (open_tree(2)).

A source is the host's, from before the pivot; a target is looked up inside the new root (lookup.py).
"""

from __future__ import annotations

import errno
import os
from typing import TypedDict

from pysup.supervisor.keeper.steps import lookup, mountable
from pysup.supervisor.keeper.steps.context import Context, StepError
from pysup.supervisor.kernel import mounts, paths, process
from pysup.supervisor.kernel.libc import AT_FDCWD, KernelError

_PLAIN = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV | mounts.MOUNT_ATTR_NOEXEC


class BindOptions(TypedDict, total=False):
    """Options of "bind": all false, and no change of propagation, by default.

    ``subpath``: a path inside the source, looked up as if that were the root; it must be there.
    ``read_only_below``: whether read-only holds for the mounts below, too; true by default.
    ``tree``: the descriptor of a detached copy that came with the spawn, to be taken instead of the source.
    """

    recursive: bool
    read_only: bool
    read_only_below: bool
    propagation: str
    create: bool
    subpath: str
    tree: str


def bind(context: Context, source: str, target: str, options: BindOptions) -> None:
    """Attach a copy of a host directory's or file's mount, with its options set before it can be seen."""
    source = context.host_path(source)
    if options.get("create"):
        _make_source(context, source)
    tree = _copy_of(context, source, options)
    try:
        _set_options(context, tree, options)
        put(context, tree, target)
    finally:
        context.system.close(tree)


def _copy_of(context: Context, source: str, options: BindOptions) -> int:
    """A detached copy of the mount. A link in a subpath leads to nothing but another place in the source."""
    recursive = options.get("recursive", False)
    if "tree" in options:
        return context.fd(options["tree"])
    if not options.get("subpath"):
        return context.system.open_tree(AT_FDCWD, source, recursive=recursive)
    top = context.system.open(source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return part_of(context, top, options["subpath"], recursive=recursive)
    finally:
        context.system.close(top)


def part_of(context: Context, top: int, subpath: str, *, flags: int = 0, recursive: bool = False) -> int:
    """A detached copy of what is at a path inside a directory, looked up as if that were the root."""
    try:
        found = context.system.openat2(top, subpath, os.O_PATH | flags, resolve=paths.INSIDE)
    except OSError as error:
        raise StepError(error.errno or errno.EIO, f"subpath {subpath}: {error.strerror}") from error
    try:
        return context.system.open_tree(found, "", recursive=recursive)
    finally:
        context.system.close(found)


def _set_options(context: Context, tree: int, options: BindOptions) -> None:
    """Before the mount can be seen."""
    name, recursive = options.get("propagation", ""), options.get("recursive", False)
    read_only = mounts.MOUNT_ATTR_RDONLY if options.get("read_only") else 0
    everywhere = options.get("read_only_below", True)
    context.system.mount_setattr(
        tree,
        attr_set=read_only if everywhere else 0,
        propagation=mounts.PROPAGATION[name.removeprefix("r")] if name else 0,
        recursive=recursive,
    )
    if read_only and not everywhere:
        context.system.mount_setattr(tree, attr_set=read_only)


def _make_source(context: Context, path: str) -> None:
    """mkdir -p, whose directories are the owner's (moby MkdirAllAndChownNew); a file is as good."""
    try:
        _make_directory(context, path)
    except FileNotFoundError:
        _make_source(context, os.path.dirname(path))
        _make_directory(context, path)


def _make_directory(context: Context, path: str) -> None:
    try:
        context.system.mkdir(path, 0o755)
    except FileExistsError:
        return
    lookup.give_directory(context, path)


def borrow(context: Context, donor: str, lent: str, name: str) -> None:
    """Take a copy of another container's mount, for "bind" to attach as its ``tree``. ``lent``: kept.lend().

    Only who is in a mount namespace may copy what is mounted there; no name is looked up in it, as its root may have
    put anything there since. A process that enters one finds itself at its root, and so comes back to its own
    (setns(2)). What the other one's root has done to the mount's flags counts for itself alone.
    """
    home = context.system.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        context.system.setns(context.fd(donor), process.CLONE_NEWNS)
        try:
            context.fds[name] = _copy_of_lent(context, context.fd(lent))
        finally:
            context.system.setns(home, process.CLONE_NEWNS)
    finally:
        context.system.close(home)
    context.system.mount_setattr(context.fds[name], attr_set=_PLAIN)


def _copy_of_lent(context: Context, lent: int) -> int:
    try:
        return context.system.open_tree(lent, "")
    except KernelError as error:
        if error.errno != errno.EINVAL:
            raise
        raise StepError(errno.EINVAL, "that container has it mounted no more") from error


def fresh(context: Context, fstype: str, name: str, attributes: int) -> None:
    """Make a file system that shows a namespace which this process is in, for "bind" to attach as its ``tree``.

    That of its processes is the one in which its children are born.
    """
    make = context.system.new_mount_of_children if fstype == "proc" else context.system.new_mount
    context.fds[name] = make(fstype, attributes)


def give_ids(context: Context, name: str, user: str, owner: int) -> None:
    """Have another container's memory show its files with the ids of a user namespace (mount_setattr(2), idmapped
    mounts).

    Only what that container's root, ``owner`` on the host, has for itself: who may mount in its own namespace could
    have put there what it has no power over, and who is given ids in it would have some.
    """
    tree = context.fd(name)
    if (
        context.system.filesystem_type(tree) != mounts.TMPFS_MAGIC
        or context.system.fstat(tree).st_uid != owner
    ):
        raise StepError(errno.EPERM, "it is not that container's own memory")
    try:
        context.system.mount_setattr(tree, attr_set=mounts.MOUNT_ATTR_IDMAP, userns_fd=context.fd(user))
    except KernelError as error:
        if error.errno != errno.EINVAL:
            raise
        cause = "a tmpfs can be shown with other ids since Linux 6.3; --userns container: has the same"
        raise StepError(errno.EINVAL, cause) from error


def show(context: Context, source: str, target: str) -> None:
    """Attach a copy of the mount of a file of the container at another path of the container, as it is there."""
    found = lookup.open_in(context, source, os.O_PATH, resolve=paths.NO_LINKS)
    try:
        tree = context.system.open_tree(found, "")
    finally:
        context.system.close(found)
    try:
        put(context, tree, target)
    finally:
        context.system.close(tree)


def attach(context: Context, name: str, target: str) -> None:
    """Put a detached mount that came with the spawn on a host path, seen by this mount namespace only."""
    fd = context.system.open(context.host_path(target), os.O_PATH | os.O_CLOEXEC)
    try:
        context.system.move_mount(context.fd(name), fd)
    finally:
        context.system.close(fd)


def put(context: Context, tree: int, target: str) -> None:
    """Move a detached mount to a target of its own kind, which is made if it is missing."""
    make = lookup.directory if lookup.is_directory(context, tree) else lookup.file
    fd = make(context, target)
    try:
        mountable.check(context, fd, tree=tree)
        context.system.move_mount(tree, fd)
    except KernelError as error:
        if error.errno == errno.EINVAL and make is lookup.file and lookup.is_directory(context, fd):
            raise StepError(errno.EISDIR, "a file cannot be mounted on a directory") from error
        raise
    finally:
        context.system.close(fd)


def attach_copy(context: Context, source: int, target: int, path: str = "") -> None:
    """Put a read-only copy of a mount there: of the descriptor itself, or of a host path."""
    tree = context.system.open_tree(source, path)
    try:
        context.system.mount_setattr(tree, attr_set=mounts.MOUNT_ATTR_RDONLY)
        context.system.move_mount(tree, target)
    finally:
        context.system.close(tree)
