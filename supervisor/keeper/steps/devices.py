"""Steps that fill /dev, and the console (devices: Documentation/admin-guide/devices.txt; pts(4))."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from pysup.supervisor.keeper.steps import lookup, mountable
from pysup.supervisor.keeper.steps.context import Context, StepError
from pysup.supervisor.kernel import mounts
from pysup.supervisor.kernel.libc import AT_FDCWD


def device(  # noqa: PLR0917
    context: Context, target: str, mode: int, major: int, minor: int, uid: int = 0, gid: int = 0
) -> None:
    """Make a device: a character device unless the mode says otherwise. One that is there from the run before is kept.

    Nobody has been in this root yet, and names are made below a descriptor, without following a link.
    """
    parent, name = lookup.parent_of(context, target)
    kind = stat.S_IFMT(mode) or stat.S_IFCHR
    number = os.makedev(major, minor)
    try:
        context.system.mknod(name, kind | stat.S_IMODE(mode), number, dir_fd=parent)
    except FileExistsError:
        found = context.system.stat(name, dir_fd=parent, follow_symlinks=False)
        if (stat.S_IFMT(found.st_mode), found.st_rdev) != (kind, number):
            raise
    if uid or gid:
        context.system.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)


def bind_device(context: Context, host_path: str, target: str) -> None:
    """Bind a host's device: what a user namespace has instead of mknod(2).

    Read-only: the device can be written to all the same, but its owner and mode on the host stay.
    """
    tree = context.system.open_tree(AT_FDCWD, host_path)
    try:
        mode = context.system.fstat(tree).st_mode
        if not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
            raise StepError(errno.ENODEV, f"{host_path} is no device")
        context.system.mount_setattr(tree, attr_set=mounts.MOUNT_ATTR_RDONLY)
        _attach(context, tree, target)
    finally:
        context.system.close(tree)


def _attach(context: Context, tree: int, target: str) -> None:
    fd = lookup.file(context, target)
    try:
        mountable.check(context, fd)
        context.system.move_mount(tree, fd)
    finally:
        context.system.close(fd)


def symlink(context: Context, content: str, target: str) -> None:
    """Make a symbolic link; one that is there already stays."""
    parent, name = lookup.parent_of(context, target)
    with contextlib.suppress(FileExistsError):
        context.system.symlink(content, name, dir_fd=parent)


def console(context: Context) -> None:
    """Make the terminal in the container's own devpts, send its master away, take its slave as 0, 1 and 2.

    The slave is opened from the master and never by a path (CVE-2025-52565). It is bound on /dev/console
    while the tree is being built; an exec finds that in place.
    """
    master = _open_ptmx(context)
    context.system.unlock(master)
    slave = context.system.open_slave(master)
    context.tell({"master": True}, (master,))
    context.system.close(master)
    if not context.inside:
        tree = context.system.open_tree(slave, "")
        _attach(context, tree, "/dev/console")
        context.system.close(tree)
    for number in (0, 1, 2):
        context.system.dup2(slave, number)
    context.unset_stdio = ()
    context.system.close(slave)
    context.system.make_controlling(0)


def _open_ptmx(context: Context) -> int:
    """A new master; the device and its file system are verified, as a running container may have moved
    them.
    """
    master = lookup.open_in(context, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY)
    if context.system.is_ptmx(master) and context.system.filesystem_type(master) == mounts.DEVPTS_SUPER_MAGIC:
        return master
    context.system.close(master)
    raise StepError(errno.ENODEV, "/dev/pts/ptmx is not a devpts file system's")
