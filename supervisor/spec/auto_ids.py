"""``--userns auto``: a range of the host's ids for one container, and the map that follows from it. Pure.

The syntax is podman's: ``auto[:size=N][,uidmapping=CONTAINER:HOST:SIZE][,gidmapping=…]``; ``fallback=host`` is
pysup's: no user namespace where the kernel cannot show layers and volumes with its ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pysup.supervisor.spec.id_maps import IdMap

AUTO = "auto"
SIZE = 65536
_MOST = 1 << 24
_PARTS = 3
_USED_BY_POOLS = ("pysup", "containers")
"""Whose lines in /etc/subuid are for containers; the second is podman's name."""
DEFAULT_POOL = (0x7000_0000, 0x0FFE_0000)
"""Where nobody else gives ids: above systemd-nspawn's and below those that signed integers cannot hold (systemd,
UIDS-GIDS). 4094 containers."""


class Auto(NamedTuple):
    """What is asked for."""

    size: int = SIZE
    """How many ids."""
    uids: tuple[IdMap, ...] = ()
    """Some that are mapped to others than those of the range."""
    gids: tuple[IdMap, ...] = ()
    fallback: bool = False
    """The host's user namespace is good enough, where there can be none."""


def is_auto(mode: str) -> bool:
    """Whether HostConfig.UsernsMode asks for it."""
    return mode == AUTO or mode.startswith(f"{AUTO}:")


def check_mode(mode: str) -> None:
    """What a daemon can give to containers that do not say. Raises ValueError."""
    if is_auto(mode):
        parse_auto(mode)
    elif mode not in ("", "host"):
        raise ValueError(f"--userns {mode[:64]!r} is neither host nor auto")


def parse_auto(mode: str) -> Auto:
    """Read ``auto[:OPTIONS]``. Raises ValueError with the cause alone."""
    found = Auto()
    options = mode.removeprefix(AUTO).removeprefix(":")
    for option in options.split(",") if options else []:
        key, _, value = option.partition("=")
        if key == "size":
            found = found._replace(size=_size(value))
        elif key == "uidmapping":
            found = found._replace(uids=(*found.uids, _map(value)))
        elif key == "gidmapping":
            found = found._replace(gids=(*found.gids, _map(value)))
        elif option == "fallback=host":
            found = found._replace(fallback=True)
        else:
            raise ValueError(
                f"--userns auto has the unknown option {option[:64]!r} "
                "(there are size=N, uidmapping=CONTAINER:HOST:SIZE, gidmapping=… and fallback=host)"
            )
    return found


def _size(text: str) -> int:
    size = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_MOST)) else 0
    if not 1 <= size <= _MOST:
        raise ValueError(f"--userns auto: size={text[:32]} is not a count within 1 and {_MOST}")
    return size


def _map(text: str) -> IdMap:
    parts = text.split(":")
    if len(parts) == _PARTS and all(part.isascii() and part.isdigit() for part in parts):
        found = IdMap(*map(int, parts))
        if found.size > 0 and max(found.container, found.host) + found.size < 1 << 32:
            return found
    raise ValueError(f"--userns auto: {text[:64]!r} is not CONTAINER:HOST:SIZE")


def maps_of(start: int, size: int, given: Sequence[IdMap]) -> tuple[IdMap, ...]:
    """The container's ids from 0 on, in a range that begins with ``start``; those that are ``given`` are elsewhere."""
    ordered = sorted(given, key=lambda one: one.container)
    return tuple(sorted([*_gaps(start, size, ordered), *ordered], key=lambda one: one.container))


def _gaps(start: int, size: int, given: Iterable[IdMap]) -> Iterator[IdMap]:
    first = 0
    for one in given:
        if first < min(one.container, size):
            yield IdMap(first, start + first, min(one.container, size) - first)
        first = max(first, one.container + one.size)
    if first < size:
        yield IdMap(first, start + first, size - first)


# -- where ranges are taken from -----------------------------------------------------------------------------


class Range(NamedTuple):
    """Ids of the host."""

    start: int
    size: int

    @property
    def end(self) -> int:
        """The first id behind it."""
        return self.start + self.size


def subordinate(text: str) -> dict[str, list[Range]]:
    """/etc/subuid or /etc/subgid by user (subuid(5)); lines that are not understood count for nobody."""
    found: dict[str, list[Range]] = {}
    for line in text.splitlines():
        fields = line.split("#")[0].strip().split(":")
        if len(fields) == _PARTS and all(field.isascii() and field.isdigit() for field in fields[1:]):
            found.setdefault(fields[0], []).append(Range(int(fields[1]), int(fields[2])))
    return found


class Pool(NamedTuple):
    """Where ranges may be taken from."""

    ranges: tuple[Range, ...]
    taken: tuple[Range, ...]
    """Parts of it that others may use."""
    source: str
    """Where that is said, for errors."""


def pool_of(setting: str, subuid: str, subgid: str) -> Pool:
    """The one that is set, START:SIZE; or what /etc/subuid and /etc/subgid both give to pysup or to containers.

    Else one in which nobody gives ids, save those files. Raises ValueError.
    """
    uids, gids = subordinate(subuid), subordinate(subgid)
    for user in () if setting else _USED_BY_POOLS:
        if user in uids and user in gids:
            both = tuple(common(uids[user], gids[user]))
            return Pool(both, (), f"what /etc/subuid and /etc/subgid both give to {user}")
    others = (one for users in (uids, gids) for ranges in users.values() for one in ranges)
    source = f"--userns-pool {setting}" if setting else "the usual pool"
    return Pool((parse_pool(setting) if setting else Range(*DEFAULT_POOL),), tuple(others), source)


def parse_pool(text: str) -> Range:
    """``START:SIZE``. Raises ValueError."""
    start, _, size = text.partition(":")
    if not (start.isascii() and start.isdigit() and size.isascii() and size.isdigit()):
        raise ValueError(f"--userns-pool {text[:64]!r} is not START:SIZE")
    found = Range(int(start), int(size))
    if not 0 < found.start < found.end < 1 << 32:
        raise ValueError(f"--userns-pool {text[:64]!r} is not a range of ids")
    return found


def common(first: Iterable[Range], second: Sequence[Range]) -> Iterator[Range]:
    """What is in one of each."""
    for one in first:
        for other in second:
            start, end = max(one.start, other.start), min(one.end, other.end)
            if start < end:
                yield Range(start, end - start)


def free_range(pool: Iterable[Range], used: Iterable[Range], size: int) -> Range | None:
    """The first ``size`` ids in a row that nobody uses."""
    taken = sorted(used)
    for one in pool:
        start = one.start
        for other in taken:
            if other.end > start and other.start < start + size:
                start = other.end
        if start + size <= one.end:
            return Range(start, size)
    return None
