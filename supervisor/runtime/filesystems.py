"""The machine's further file systems, for the host image: an overlay shows a layer without what is mounted in it.

Shown are file systems on local disks (a separate /usr, /opt, /home, /var, a btrfs subvolume, a bind mount of one),
each below a write layer of its own. Not shown are those of a network, whose server a container could wait for
for ever, those in memory or made by the kernel, removable disks, other engines' layers, and whatever would show
pysup's own state in a second place. A volume brings any of them in: ``-v /net/data:/net/data``.
"""

from __future__ import annotations

import os
import re
import select
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pysup.supervisor.kernel import mountinfo, mounts
from pysup.supervisor.runtime.host_pieces import pieces
from pysup.supervisor.runtime.plan.facts import Below

ON_DISKS = frozenset(
    ("bcachefs", "btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "squashfs", "xfs", "zfs")
)
_APART = (
    *("/dev", "/media", "/proc", "/run", "/snap", "/sys", "/tmp"),  # noqa: S108 - a mount point
    *(
        "/var/lib/containerd",
        "/var/lib/containers",
        "/var/lib/docker",
        "/var/lib/kubelet",
        "/var/lib/machines",
    ),
)
"""Fresh in each container, removable, or other engines' own."""
_FLAGS = {"nosuid": mounts.MS_NOSUID, "nodev": mounts.MS_NODEV, "noexec": mounts.MS_NOEXEC}
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One line of mountinfo (proc_pid_mountinfo(5))."""

    id: int
    parent: int
    device: str
    """``major:minor`` of the file system."""
    root: str
    """Which directory of the file system is mounted."""
    point: str
    options: str
    fstype: str
    propagation: tuple[str, ...] = ()
    """``shared:N``, ``master:N``, …; none if it is private."""


class Filesystems:
    """What is mounted now: read once, and again when the kernel says that it has changed."""

    def __init__(self, state: Sequence[str], skeleton: str = "") -> None:
        """``state``: the daemon's own directories; ``skeleton``: where ``/`` cannot be a layer (host_pieces.py)."""
        self._state = [os.path.realpath(path) for path in state]
        self._skeleton = skeleton
        self._file = mountinfo.opened()  # for good
        self._changes = select.poll()
        self._changes.register(self._file, select.POLLPRI)
        self._below = self._look()

    def below(self) -> tuple[Below, ...]:
        """The mount points to show, parents first. A look at the poll(2) of mountinfo, 2 µs, as a rule."""
        if self._changes.poll(0):
            self._below = self._look()
        return self._below

    def _look(self) -> tuple[Below, ...]:
        self._changes.poll(0)
        self._file.seek(0)
        every = parse(self._file.read())
        if self._skeleton:
            return tuple(self._pieces(every))
        found = shown(every, self._state)
        return tuple(Below(mount.point, _flags(mount)) for mount in found if os.path.isdir(mount.point))

    def _pieces(self, every: Sequence[Mount]) -> Iterator[Below]:
        """The program is covered by itself (rootless.py): that is no mount that matters."""
        visible = [mount for mount in _visible(every) if mount.point != os.path.realpath(sys.executable)]
        strange = [mount.point for mount in visible[1:] if mount.fstype not in ON_DISKS]
        left_out = (*_APART, *self._state, *strange)
        os.makedirs(self._skeleton, mode=0o755, exist_ok=True)
        for path in pieces("/", [mount.point for mount in visible], left_out, self._skeleton):
            yield Below(path, _flags(_holding(path, visible)))


def _holding(path: str, visible: Sequence[Mount]) -> Mount:
    """The mount that a path lies in."""
    return max((one for one in visible if _within(path, one.point)), key=lambda one: len(one.point))


def _flags(mount: Mount) -> int:
    return sum(_FLAGS.get(option, 0) for option in mount.options.split(","))


def parse(text: str) -> list[Mount]:
    """The lines of a mountinfo file."""
    found = []
    for line in mountinfo.lines(text):
        fields, _, after = line.partition(" - ")
        number, parent, device, root, point, options, *optional = fields.split(" ")
        kind = after.partition(" ")[0]
        place = (device, _plain(root), _plain(point))
        found.append(Mount(int(number), int(parent), *place, options, kind, tuple(filter(None, optional))))
    return found


def type_of(path: str) -> str:
    """The type of the file system that a path lies in, ``ext4``; empty: it cannot be told."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    return next((mount.fstype for mount in parse(mountinfo.read()) if mount.device == wanted), "")


def _plain(path: str) -> str:
    r"""A path without escapes: space, tab, newline and backslash are written \040 and so on."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), path)


def shown(found: Sequence[Mount], state: Sequence[str]) -> list[Mount]:
    """Which of all mounts the host image shows, parents first. Pure; ``state`` as in Filesystems."""
    visible = list(_visible(found))
    places = [place for path in state if (place := _place_of(path, visible))]
    return [mount for mount in visible[1:] if _is_wanted(mount, state) and not _shows_state(mount, places)]


def _visible(found: Sequence[Mount]) -> Iterator[Mount]:
    """The root and what is mounted in what is shown: nothing that lies below another mount, or in a hidden one."""
    ids = {mount.id for mount in found}
    inside: dict[int, list[Mount]] = {}
    for mount in found:
        inside.setdefault(mount.parent, []).append(mount)
    waiting = [mount for mount in found if mount.point == "/" and mount.parent not in ids - {mount.id}][:1]
    while waiting:
        mount = waiting.pop()
        children = [child for child in inside.get(mount.id, []) if child.id != mount.id]
        covers = [child for child in children if child.point == mount.point]
        if covers:
            waiting.append(covers[-1])
        else:
            yield mount
            waiting += children


def _is_wanted(mount: Mount, state: Sequence[str]) -> bool:
    return mount.fstype in ON_DISKS and not any(_within(mount.point, path) for path in (*_APART, *state))


class _Place(NamedTuple):
    """Where a directory is: by its path, and in its file system."""

    path: str
    device: str
    inside: str


def _place_of(path: str, visible: Sequence[Mount]) -> _Place | None:
    if not any(_within(path, mount.point) for mount in visible):
        return None
    mount = _holding(path, visible)
    return _Place(path, mount.device, _join(mount.root, path, mount.point))


def _shows_state(mount: Mount, places: Sequence[_Place]) -> bool:
    """Whether it would show a directory of the daemon's elsewhere than in its own place, where it is covered."""
    return any(
        _within(mount.root, place.inside)
        or (_within(place.inside, mount.root) and _join(mount.point, place.inside, mount.root) != place.path)
        for place in places
        if place.device == mount.device
    )


def _within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _join(base: str, path: str, start: str) -> str:
    """``path`` lies below ``start``: the same below ``base``."""
    return os.path.normpath(os.path.join(base, os.path.relpath(path, start)))
