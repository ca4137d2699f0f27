"""Names by which a layer says what it takes away (OCI image-spec, layer.md, Whiteouts), and overlayfs' own form.

Pure, but for the last functions, which make and look at overlayfs' form: a character device 0/0 hides a name, the
attribute ``trusted.overlay.opaque`` hides all that lower layers have in a directory (kernel:
filesystems/overlayfs).
"""

from __future__ import annotations

import os
import stat
from typing import Literal

from pysup.supervisor.kernel.own_ids import is_rootless

OPAQUE = ".wh..wh..opq"
_PREFIX = ".wh."
_META = ".wh..wh."
"""Others of these are aufs' own book-keeping, which nobody wants to see."""
_OPAQUE_XATTR = "trusted.overlay.opaque"
_OPAQUE_TO_USERS = "user.overlay.opaque"
"""What is read instead in a user namespace (mount option userxattr)."""

Kind = Literal["entry", "whiteout", "opaque", "ignored"]


def kind_of(name: str) -> tuple[Kind, str]:
    """What an entry of this (last) name is, and for a whiteout whom it hides. Raises ValueError."""
    if not name.startswith(_PREFIX):
        return "entry", ""
    if name == OPAQUE:
        return "opaque", ""
    if name.startswith(_META):
        return "ignored", ""
    hidden = name.removeprefix(_PREFIX)
    if hidden in {"", ".", ".."}:
        raise ValueError("it hides no name")
    return "whiteout", hidden


def hide(name: str, parent: int) -> None:
    """Hide a name of the layers below."""
    os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)


def hides(status: os.stat_result) -> bool:
    """Whether this is what hide() made."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def name_of(hidden: str) -> str:
    """The name of the entry that hides another."""
    return _PREFIX + hidden


def is_special(name: str) -> bool:
    """Whether an archive cannot have a file of this name: it would hide another."""
    return name.startswith(_PREFIX)


def make_opaque(fd: int) -> None:
    """Hide what the layers below have in this directory (a descriptor that may be read)."""
    rootless = is_rootless()
    if not rootless:  # only root has this one
        os.setxattr(fd, _OPAQUE_XATTR, b"y")
    try:
        os.setxattr(fd, _OPAQUE_TO_USERS, b"y")
    except OSError:  # a tmpfs before Linux 6.6 has none, and is no place for user namespaces then
        if rootless:
            raise


def is_opaque(path: str | int, *, to_users: bool = False) -> bool:
    """Whether a directory (a path, or a descriptor) shows nothing of what lies below.

    ``to_users``: by the mark that counts in a user namespace; elsewhere anybody may set that one.
    """
    try:
        return os.getxattr(path, _OPAQUE_TO_USERS if to_users or is_rootless() else _OPAQUE_XATTR) == b"y"
    except OSError:
        return False
