"""Steps that build the container's tree of mounts and go there (mount_namespaces(7), overlayfs,
pivot_root(2)).

Every target is looked up inside the new root (lookup.py); a source is the host's, from before the pivot.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack
from typing import Literal, TypedDict

from pysup.supervisor.keeper.steps import binds, lookup, mountable
from pysup.supervisor.keeper.steps.context import Context
from pysup.supervisor.kernel import mounts
from pysup.supervisor.kernel.libc import AT_FDCWD, KernelError

_PAGE = 4096
_DESCRIPTORS = "/proc/self/fd"
_HOLDERS = ("/dev", "/sys/fs/cgroup")
"""Where a new tmpfs is filled with further mounts: nobody else can reach it, so names in it need no look-up."""
_NO_LINKS = ("/dev", "/proc", "/sys")
"""As links of an image these would turn up elsewhere (CVE-2019-19921, CVE-2026-41579)."""
_NEW_TMPFS = 0o1777
_PATHS: tuple[Literal["upper"], Literal["work"], Literal["target"]] = ("upper", "work", "target")


class Overlay(TypedDict, total=False):
    """Arguments of "overlay". ``lower`` is topmost first; ``options`` are passed to the file system as they
    are. It is mounted on ``target``, a host path, or ``at`` a path of the container.
    """

    lower: list[str]
    upper: str
    work: str
    target: str
    at: str
    flags: int
    volatile: bool
    options: list[str]


def overlay(context: Context, arguments: Overlay) -> None:
    """Mount the layers with the write layer on top, in this mount namespace only (kernel:
    filesystems/overlayfs).
    """
    lower = [context.host_path(path) for path in arguments["lower"]]
    arguments = _on_this_host(context, arguments)
    data = _overlay_options(arguments, lower)
    if len(os.fsencode(data)) >= _PAGE:
        return _overlay_of_many(context, arguments, lower)
    if "at" not in arguments:
        return context.system.mount("overlay", arguments["target"], "overlay", 0, data)
    fd = lookup.directory(context, arguments["at"])
    try:
        _mount_on(context, fd, "overlay", "overlay", arguments.get("flags", 0), data)
    except KernelError as error:
        if error.errno != errno.EINVAL:
            raise
        binds.attach_copy(
            context, AT_FDCWD, fd, lower[0]
        )  # one that overlayfs does not take: names without case
    finally:
        context.system.close(fd)
    return None


def _overlay_of_many(context: Context, arguments: Overlay, lower: list[str]) -> None:
    """Names would take more than mount(2) has room for: layers by descriptor, up to overlayfs' 500."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    with ExitStack() as stack:
        opened = [context.system.open(path, flags) for path in lower]
        for fd in opened:
            stack.callback(context.system.close, fd)
        context.system.chdir(_DESCRIPTORS)
        data = _overlay_options(arguments, [str(fd) for fd in opened])
        context.system.mount("overlay", arguments["target"], "overlay", 0, data)


def _on_this_host(context: Context, arguments: Overlay) -> Overlay:
    found = arguments.copy()
    for key in _PATHS:
        if key in found:
            found[key] = context.host_path(found[key])
    return found


def _overlay_options(arguments: Overlay, lower: list[str]) -> str:
    options = ["lowerdir=" + ":".join(_escape(path, "\\,:") for path in lower)]
    if "upper" in arguments:
        options += [f"upperdir={_escape(arguments['upper'], chr(92) + ',')}"]
        options += [f"workdir={_escape(arguments['work'], chr(92) + ',')}"]
    if arguments.get("volatile"):
        options.append("volatile")
    return ",".join([*options, *arguments.get("options", [])])


def _escape(path: str, special: str) -> str:
    return "".join("\\" + letter if letter in special else letter for letter in path)


def owner(context: Context, uid: int, gid: int) -> None:
    """Whatever is made from here on for a mount to lie on belongs to these ids of the host."""
    context.owner = uid, gid


def enter(context: Context, target: str) -> None:
    """Take a directory (the overlay) as the root that later targets are looked up in."""
    context.system.chdir(context.host_path(target))
    context.root = context.system.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def mount(  # noqa: PLR0917
    context: Context, fstype: str, source: str, target: str, flags: int, data: str
) -> None:
    """Mount a new file system on a directory of the container, reached by descriptor and named "."."""
    if _mounted_in_holder(context, fstype, source, target, flags, data):
        return
    find = lookup.plain_directory if target in _NO_LINKS else lookup.directory
    fd = find(context, target, mode=_NEW_TMPFS if fstype == "tmpfs" else 0o755)
    try:
        if not flags & mounts.MS_REMOUNT:
            mountable.check(context, fd, fstype=fstype)
        if fstype == "tmpfs" and "mode=" not in data:
            data = _with_mode_of(context, fd, data)
        _mount_on(context, fd, source, fstype, flags, data)
    finally:
        context.system.close(fd)
    _note_holder(context, fstype, target, flags)


def mount_part(  # noqa: PLR0917
    context: Context, fstype: str, source: str, target: str, flags: int, data: str, subpath: str
) -> None:
    """Show one directory of a new file system: it is mounted, looked up in, and hidden again behind that part."""
    mount(context, fstype, source, target, flags, data)
    whole = lookup.existing(context, target)
    try:
        part = binds.part_of(context, whole, subpath, flags=os.O_DIRECTORY)
        context.system.fchdir(whole)
        context.system.umount(".", mounts.MNT_DETACH)
    finally:
        context.system.close(whole)
    try:
        binds.put(context, part, target)
    finally:
        context.system.close(part)


def _mounted_in_holder(  # noqa: PLR0917
    context: Context, fstype: str, source: str, target: str, flags: int, data: str
) -> bool:
    """Mount on a new directory of a tmpfs that was made just now; False where the long way must be taken."""
    above, name = os.path.split(target)
    if above not in context.holders or (fstype == "tmpfs" and "mode=" not in data):
        return False
    context.system.fchdir(context.holders[above])
    try:
        context.system.mkdir(name, 0o755)
    except FileExistsError:
        return False
    context.system.mount(source, name, fstype, flags, data)
    return True


def _note_holder(context: Context, fstype: str, target: str, flags: int) -> None:
    if target in context.holders:
        context.system.close(context.holders.pop(target))
    elif target in _HOLDERS and fstype == "tmpfs" and not flags & mounts.MS_REMOUNT and context.owner is None:
        context.holders[target] = lookup.existing(context, target)


def _mount_on(  # noqa: PLR0917
    context: Context, fd: int, source: str, fstype: str, flags: int, data: str
) -> None:
    context.system.fchdir(fd)
    context.system.mount(source, ".", fstype, flags, data)


def _with_mode_of(context: Context, fd: int, data: str) -> str:
    """A tmpfs without a mode looks like the directory that it covers, as with runc; 1777 if that was missing."""
    mode = f"mode={stat.S_IMODE(context.system.fstat(fd).st_mode):o}"
    return f"{data},{mode}" if data else mode


def pivot(context: Context) -> None:
    """Make the new root the process's root and let go of the host's (pivot_root(2), "pivot_root(".",
    ".")").
    """
    context.system.fchdir(context.root)
    context.system.pivot_root(".", ".")
    context.system.umount(".", mounts.MNT_DETACH)
    context.system.chdir("/")
    context.inside = True
    _forget_masks(context)


def _forget_masks(context: Context) -> None:
    """Nothing is masked from here on, and the null device is the host's."""
    for fd in (context.null_fd, context.empty_tmpfs):
        if fd >= 0:
            context.system.close(fd)
    context.null_fd = context.empty_tmpfs = -1


def read_only_root(context: Context) -> None:
    """Make the root mount read-only, not what is mounted below it."""
    fd = context.system.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        context.system.mount_setattr(fd, attr_set=mounts.MOUNT_ATTR_RDONLY)
    finally:
        context.system.close(fd)
