"""Mounts and safe lookup: mount(2), pivot_root(2), open_tree(2), move_mount(2), mount_setattr(2), openat2(2).

Linux 5.12 has them all. A path inside a container is opened with openat2 below a descriptor of its root and
then used by descriptor only, so nobody can exchange a component between the check and the use.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import NoReturn

from pysup.supervisor.kernel import libc, process
from pysup.supervisor.kernel.libc import AT_EMPTY_PATH

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_UNBINDABLE = 0x20000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_SHARED = 0x100000
MS_RELATIME = 0x200000
MS_STRICTATIME = 0x1000000

PROPAGATION = {"private": MS_PRIVATE, "slave": MS_SLAVE, "shared": MS_SHARED, "unbindable": MS_UNBINDABLE}
"""Propagation types by name (mount_namespaces(7)); an ``r`` before the name makes it recursive."""

MNT_DETACH = 2

AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 0x04
MOVE_MOUNT_T_EMPTY_PATH = 0x40

FSOPEN_CLOEXEC = 1
FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_IDMAP = 0x100000

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

PROC_SUPER_MAGIC = 0x9FA0
DEVPTS_SUPER_MAGIC = 0x1CD1
TMPFS_MAGIC = 0x01021994

_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_FSOPEN = 430
_SYS_FSCONFIG = 431
_SYS_FSMOUNT = 432
_SYS_OPENAT2 = 437
_SYS_MOUNT_SETATTR = 442
_LOOKUPS = 4096
"""Tries of a few microseconds each: a rename by anybody on the machine makes one with ``..`` fail (32 were too few)."""
_STATFS_TYPE = struct.Struct("@l")
_statfs = libc.buffer(256)
_NUMBER = struct.Struct("=i")
_OPEN_HOW = struct.Struct("=3Q")
_MOUNT_ATTR = struct.Struct("=4Q")

_mount = libc.bind("mount", libc.c_char_p, libc.c_char_p, libc.c_char_p, libc.c_ulong, libc.c_char_p)
_umount2 = libc.bind("umount2", libc.c_char_p, libc.c_int)
_pivot_root = libc.bind("pivot_root", libc.c_char_p, libc.c_char_p)
_fstatfs = libc.bind("fstatfs", libc.c_int, libc.c_void_p)

Path = str | bytes


def mount(source: Path, target: Path, fstype: Path, flags: int = 0, data: Path = "") -> None:
    """mount(2). ``data`` is the file system's own options, less than a page of them."""
    options = libc.text(data)
    if len(options) >= os.sysconf("SC_PAGE_SIZE"):
        raise ValueError(f"the mount options take {len(options)} bytes, more than a page")
    result = _mount(libc.text(source), libc.text(target), libc.text(fstype), flags, options or None)
    libc.check(result, "mount")


def umount(target: Path, flags: int = 0) -> None:
    """umount2(2)."""
    libc.check(_umount2(libc.text(target), flags), "umount2")


def pivot_root(new_root: Path, put_old: Path) -> None:
    """pivot_root(2); with "." twice the old root lies on top of the new one, ready for umount(MNT_DETACH)."""
    libc.check(_pivot_root(libc.text(new_root), libc.text(put_old)), "pivot_root")


def open_tree(dirfd: int, path: Path, *, clone: bool = True, recursive: bool = False) -> int:
    """A descriptor of a mount; with ``clone`` a detached copy of it (a bind mount to be). open_tree(2).

    An empty path means ``dirfd`` itself.
    """
    flags = OPEN_TREE_CLOEXEC | (0 if path else AT_EMPTY_PATH)
    flags |= (OPEN_TREE_CLONE if clone else 0) | (AT_RECURSIVE if recursive else 0)
    return libc.syscall(_SYS_OPEN_TREE, "open_tree", dirfd, libc.text(path), flags)


def new_mount(fstype: str, attributes: int = 0) -> int:
    """A descriptor of a new file system, mounted nowhere yet. fsopen(2), fsconfig(2), fsmount(2), Linux 5.2.

    It shows the namespace that the caller is in: its network (sysfs), its processes (proc), its IPC (mqueue).
    """
    context = libc.syscall(_SYS_FSOPEN, "fsopen", libc.text(fstype), FSOPEN_CLOEXEC)
    name = libc.text(fstype)
    try:
        libc.syscall(_SYS_FSCONFIG, "fsconfig", context, _FSCONFIG_SET_STRING, b"source", name, 0)
        libc.syscall(_SYS_FSCONFIG, "fsconfig", context, _FSCONFIG_CMD_CREATE, 0, 0, 0)
        return libc.syscall(_SYS_FSMOUNT, "fsmount", context, FSMOUNT_CLOEXEC, attributes)
    finally:
        os.close(context)


def new_mount_of_children(fstype: str, attributes: int = 0) -> int:
    """The same by a child, for what shows the namespace that children are born in (setns(2), CLONE_NEWPID).

    It shares this process's descriptors (CLONE_FILES), and tells the new one's number, or an errno, by a pipe.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        pid, pidfd = process.clone3(process.CLONE_FILES)
        if pid == 0:
            _tell_mount(writer, fstype, attributes)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | process.WALL)
        os.close(pidfd)
        os.set_blocking(reader, False)
        (fd,) = _NUMBER.unpack(os.read(reader, _NUMBER.size))
    finally:
        os.close(reader)
        os.close(writer)
    if fd < 0:
        raise libc.KernelError(-fd, "fsmount")
    return int(fd)


def _tell_mount(writer: int, fstype: str, attributes: int) -> NoReturn:
    told = -errno.EIO
    try:
        told = new_mount(fstype, attributes)
    except OSError as error:
        told = -(error.errno or errno.EIO)
    finally:
        os.write(writer, _NUMBER.pack(told))
        os._exit(0)


def move_mount(from_fd: int, to_fd: int) -> None:
    """Attach a detached mount on what ``to_fd`` (O_PATH) refers to. move_mount(2)."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    libc.syscall(_SYS_MOVE_MOUNT, "move_mount", from_fd, b"", to_fd, b"", flags)


def mount_setattr(
    fd: int,
    *,
    attr_set: int = 0,
    attr_clr: int = 0,
    propagation: int = 0,
    userns_fd: int = 0,
    recursive: bool = False,
) -> None:
    """Change the mount that ``fd`` refers to (and those below it). mount_setattr(2), Linux 5.12."""
    attributes = _MOUNT_ATTR.pack(attr_set, attr_clr, propagation, userns_fd)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    libc.syscall(_SYS_MOUNT_SETATTR, "mount_setattr", fd, b"", flags, attributes, _MOUNT_ATTR.size)


def openat2(dirfd: int, path: Path, flags: int, mode: int = 0, *, resolve: int = 0) -> int:
    """Open with rules for every component of the path (RESOLVE_*), close-on-exec. openat2(2), Linux 5.6.

    EAGAIN means that something was renamed or mounted during the lookup, anywhere: it is tried again, within reason.
    """
    how = _OPEN_HOW.pack(flags | os.O_CLOEXEC, mode, resolve)
    encoded = libc.text(path)
    for attempt in range(_LOOKUPS):
        try:
            return libc.syscall(_SYS_OPENAT2, "openat2", dirfd, encoded, how, _OPEN_HOW.size)
        except libc.KernelError as error:
            if error.errno != errno.EAGAIN or attempt == _LOOKUPS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def filesystem_type(fd: int) -> int:
    """The magic number of the file system that ``fd`` lies in. fstatfs(2)."""
    libc.check(_fstatfs(fd, _statfs), "fstatfs")
    return int(_STATFS_TYPE.unpack_from(_statfs)[0])
