"""Steps that hide or write-protect what of a mount is not the container's."""

from __future__ import annotations

import errno
import os

from pysup.supervisor.keeper.steps import lookup
from pysup.supervisor.keeper.steps.binds import attach_copy
from pysup.supervisor.keeper.steps.context import Context, StepError
from pysup.supervisor.kernel import mounts
from pysup.supervisor.kernel.libc import KernelError


def mask(context: Context, path: str) -> None:
    """Hide a path: a directory under an empty read-only tmpfs, a file under /dev/null. A missing path is
    skipped.
    """
    fd = _find_any(context, path)
    if fd is None:
        return
    try:
        if lookup.is_directory(context, fd):
            _mask_directory(context, path, fd)
        else:
            _mask_file(context, fd)
    finally:
        context.system.close(fd)


def _find_any(context: Context, path: str) -> int | None:
    try:
        return lookup.find(context, path)
    except KernelError as error:
        if error.errno == errno.ENOTDIR:
            return None
        raise


def _mask_directory(context: Context, path: str, fd: int) -> None:
    """One tmpfs serves for all directories: a copy of a mount is cheaper than another file system."""
    if context.empty_tmpfs < 0:
        context.system.fchdir(fd)
        flags = mounts.MS_RDONLY | mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
        context.system.mount("tmpfs", ".", "tmpfs", flags, "nr_inodes=2,mode=755")
        context.empty_tmpfs = lookup.open_in(context, path, os.O_PATH | os.O_DIRECTORY)
    else:
        attach_copy(context, context.empty_tmpfs, fd)


def _mask_file(context: Context, fd: int) -> None:
    """The host's /dev/null, verified, and never a path of the container (CVE-2025-31133).

    Read-only: that does not keep anybody from writing to a device, but from changing its mode on the host.
    """
    if context.null_fd < 0:
        context.null_fd = context.system.open("/dev/null", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        if context.system.fstat(context.null_fd).st_rdev != os.makedev(1, 3):
            raise StepError(errno.ENODEV, "/dev/null is not the null device")
    attach_copy(context, context.null_fd, fd)


def read_only(context: Context, path: str) -> None:
    """Make a path and all below it read-only, by a mount of it on itself. A missing path is skipped."""
    fd = _find_any(context, path)
    if fd is None:
        return
    try:
        tree = context.system.open_tree(fd, "", recursive=True)
        try:
            context.system.mount_setattr(tree, attr_set=mounts.MOUNT_ATTR_RDONLY, recursive=True)
            context.system.move_mount(tree, fd)
        finally:
            context.system.close(tree)
    finally:
        context.system.close(fd)
