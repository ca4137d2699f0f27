"""Ids of containers where the daemon has not all ids itself, because it is an ordinary user's: some of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.kernel.own_ids import Mapped, is_rootless, own_map
from pysup.supervisor.spec.auto_ids import Pool, Range, common
from pysup.supervisor.spec.container import Namespaces
from pysup.supervisor.spec.id_maps import IdMap

_FLAGS = {"uid": "--uidmap", "gid": "--gidmap"}


def check(spaces: Namespaces) -> None:
    """Refuse ids that the daemon has not. Raises BadRequest."""
    if is_rootless():
        for kind, maps in (("uid", spaces.uid_maps), ("gid", spaces.gid_maps)):
            for one in maps:
                if sum(part.size for part in split([one], own_map(kind))) < one.size:
                    raise BadRequest(
                        f"cannot create container: {_FLAGS[kind]} {one.container}:{one.host}:{one.size}: {_owned(kind)}"
                    )


def _owned(kind: str) -> str:
    """The first is the user's own, the next are as /etc/subuid has them."""
    ranges = " and ".join(f"{one.inside}-{one.inside + one.size - 1}" for one in own_map(kind))
    return f"without root, the second number counts in the daemon's own ids, which are {ranges}"


def split(maps: Iterable[IdMap], extents: Sequence[Mapped]) -> Iterator[IdMap]:
    """The part of maps that is there, in pieces that each lie in one line of the map around (user_namespaces(7)).

    Pure.
    """
    for one in maps:
        for extent in extents:
            start = max(one.host, extent.inside)
            end = min(one.host + one.size, extent.inside + extent.size)
            if start < end:
                yield IdMap(one.container + start - one.host, start, end - start)


def pool() -> Pool:
    """What ``--userns auto`` takes from: all but the daemon's root, by user and by group."""
    users, groups = ([_without_root(one) for one in own_map(kind)] for kind in ("uid", "gid"))
    ranges = tuple(one for one in common(users, groups) if one.size > 0)
    told = " and ".join(f"{one.start}-{one.end - 1}" for one in ranges) or "none beside its root's"
    return Pool(ranges, (), f"the daemon's own ids ({told}); auto:size=N takes fewer than 65536")


def _without_root(one: Mapped) -> Range:
    start = max(one.inside, 1)
    return Range(start, one.inside + one.size - start)
