"""Which ids this process's user namespace has (user_namespaces(7)); light: the command line asks, too."""

from __future__ import annotations

import functools
from typing import NamedTuple

_WHOLE = (0, 0, 0xFFFFFFFF)


class Mapped(NamedTuple):
    """One line of uid_map or gid_map."""

    inside: int
    outside: int
    size: int


@functools.cache
def own_map(kind: str = "uid") -> tuple[Mapped, ...]:
    """The map of this process, ``uid`` or ``gid``. It never changes once it is written."""
    with open(f"/proc/self/{kind}_map", encoding="ascii") as file:
        return tuple(Mapped(*map(int, line.split())) for line in file)


def is_rootless() -> bool:
    """Whether this is not the machine's root, but that of a user namespace: it has no power over the rest."""
    return own_map() != (_WHOLE,)


@functools.cache
def may_set_groups() -> bool:
    """Whether supplementary groups can be given up: not where an ordinary user has written the map itself."""
    with open("/proc/self/setgroups", encoding="ascii") as file:
        return file.read().strip() == "allow"


def count(kind: str = "uid") -> int:
    """How many ids there are."""
    return sum(one.size for one in own_map(kind))


def has(number: int, kind: str = "uid") -> bool:
    """Whether an id exists here."""
    return any(one.inside <= number < one.inside + one.size for one in own_map(kind))
