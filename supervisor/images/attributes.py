"""What an archive says of an entry beside its content: owner, mode, extended attributes, time."""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from decimal import Decimal, InvalidOperation

from pysup.supervisor.kernel.own_ids import is_rootless

_XATTR = "SCHILY.xattr."
_KEPT = ("user.", "security.capability")
"""Others (trusted.overlay.… above all) would change what the layers below look like."""
_DROPPED = "user.overlay."
"""… and so would these in a user namespace (overlayfs, userxattr)."""
_BILLION = 10**9


def of_descriptor(member: tarfile.TarInfo, fd: int) -> None:
    """Set them on a file or directory. The order counts: chown(2) clears set-uid bits and capabilities."""
    _own(member, fd)
    os.chmod(fd, stat.S_IMODE(member.mode))
    for name, value in _xattrs(member):
        os.setxattr(fd, name, value)
    os.utime(fd, ns=times(member))


def of_name(member: tarfile.TarInfo, name: str, parent: int) -> None:
    """Set them on what must not be opened: a link, a device, a FIFO."""
    _own(member, name, parent)
    if not member.issym():
        os.chmod(name, stat.S_IMODE(member.mode), dir_fd=parent)
    os.utime(name, ns=times(member), dir_fd=parent, follow_symlinks=False)


def _own(member: tarfile.TarInfo, what: str | int, parent: int | None = None) -> None:
    """Give it to its owner. One that does not exist for a daemon without root leaves it to the container's root."""
    try:
        os.chown(what, member.uid, member.gid, dir_fd=parent, follow_symlinks=isinstance(what, int))
    except OSError as error:
        if error.errno != errno.EINVAL or not is_rootless():
            raise


def _xattrs(member: tarfile.TarInfo) -> list[tuple[str, bytes]]:
    return [
        (name, value.encode("utf-8", "surrogateescape"))
        for key, value in member.pax_headers.items()
        if key.startswith(_XATTR) and is_kept(name := key.removeprefix(_XATTR))
    ]


def is_kept(name: str) -> bool:
    """Whether a layer has extended attributes of this name."""
    return name.startswith(_KEPT) and not name.startswith(_DROPPED)


def times(member: tarfile.TarInfo) -> tuple[int, int]:
    """Of access and of change, in nanoseconds: exactly as in a pax record, which tarfile rounds to a float."""
    try:
        exact = member.pax_headers.get("mtime")
        change = int(Decimal(exact) * _BILLION) if exact else int(member.mtime * _BILLION)
    except (InvalidOperation, OverflowError):
        raise ValueError("its time is not a number") from None
    return change, change


def device_mode(member: tarfile.TarInfo) -> int:
    """Type and permissions for mknod(2). Raises ValueError for a type that is none of these."""
    if not (member.isfifo() or member.isdev()):
        raise ValueError(f"unknown type {member.type!r}")
    kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK if member.isblk() else stat.S_IFIFO
    return kind | stat.S_IMODE(member.mode)
