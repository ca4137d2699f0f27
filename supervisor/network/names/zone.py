"""Which names a container may see, and what they mean. Pure: no packets here.

A table belongs to a network, and all containers on it share it; a zone is what one container sees, the tables of
the networks that it is on. So joining a network costs one entry, and no container sees a network that it is not on.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pysup.supervisor.network.addresses import Address

K = TypeVar("K")
_STAMPS = itertools.count()


@dataclass(frozen=True, slots=True)
class Member:
    """A container on a network."""

    container: str
    """Its name, which a reverse look-up answers."""
    short_id: str
    """The first 12 digits of its id."""
    addresses: tuple[Address, ...]
    hostname: str = ""
    aliases: tuple[str, ...] = ()

    def names(self) -> frozenset[str]:
        """All that it is called, in lower case."""
        called = (self.container, self.short_id, self.hostname, *self.aliases)
        return frozenset(name.lower() for name in called if name)


@dataclass(slots=True)
class Table:
    """The names of one network. Its owner changes it; whoever sees it in a zone does not."""

    network: str
    """The network's name."""
    _named: dict[str, dict[str, Member]] = field(default_factory=dict)
    _placed: dict[Address, dict[str, Member]] = field(default_factory=dict)
    stamp: int = field(default_factory=lambda: next(_STAMPS), compare=False)
    """Another one after each change, and for each table."""

    def add(self, endpoint: str, member: Member) -> None:
        """Put an endpoint (its id) on it; one that is there already must be removed before."""
        for name in member.names():
            self._named.setdefault(name, {})[endpoint] = member
        for address in member.addresses:
            self._placed.setdefault(address, {})[endpoint] = member
        self.stamp = next(_STAMPS)

    def remove(self, endpoint: str, member: Member) -> None:
        """Take it off again; it does not matter if it is gone."""
        for name in member.names():
            _drop(self._named, name, endpoint)
        for address in member.addresses:
            _drop(self._placed, address, endpoint)
        self.stamp = next(_STAMPS)

    def addresses(self, name: str) -> tuple[Address, ...] | None:
        """Of a name in lower case, of all that have it, in the order in which they came; None: nobody has it."""
        members = self._named.get(name)
        if members is None:
            return None
        return tuple(dict.fromkeys(address for member in members.values() for address in member.addresses))

    def container(self, address: Address) -> str | None:
        """The name of the container that has an address."""
        members = self._placed.get(address)
        return next(iter(members.values())).container if members else None


def _drop(index: dict[K, dict[str, Member]], key: K, endpoint: str) -> None:
    members = index.get(key, {})
    members.pop(endpoint, None)
    if not members:
        index.pop(key, None)


@dataclass(frozen=True, slots=True)
class Zone:
    """What one container sees."""

    tables: tuple[Table, ...]
    """Of the networks that it is on; the first one that knows a name answers."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Names that only this container has for others (--link), in lower case: alias to container."""

    def addresses(self, name: str) -> tuple[Address, ...] | None:
        """Of ``NAME`` or ``NAME.NETWORK``, where both may have dots; empty: only known. None: unknown.

        As docker looks a.b.c up: on all networks, then a.b on network c, then a on network b.c; what this
        container links to goes before (moby libnetwork/sandbox.go, Sandbox.ResolveName).
        """
        for head, tables in self._readings(name.lower()):
            for wanted in (self.links.get(head, "").lower(), head):
                for table in tables:
                    found = table.addresses(wanted)
                    if found is not None:
                        return found
        return None

    def state(self) -> tuple[object, ...]:
        """Equal as long as all answers are."""
        return (*(table.stamp for table in self.tables), *self.links.items())

    def _readings(self, name: str) -> Iterator[tuple[str, Sequence[Table]]]:
        yield name, self.tables
        at = name.rfind(".")
        while at > 0:
            network = name[at + 1 :]
            yield name[:at], [table for table in self.tables if table.network.lower() == network]
            at = name.rfind(".", 0, at)

    def name_of(self, address: Address) -> str | None:
        """``CONTAINER.NETWORK`` that has this address, on a network that this container is on."""
        for table in self.tables:
            container = table.container(address)
            if container is not None:
                return f"{container}.{table.network}"
        return None


def rotated(addresses: Sequence[Address], turn: int) -> list[Address]:
    """Each one is the first in its turn (round robin)."""
    at = turn % len(addresses) if addresses else 0
    return [*addresses[at:], *addresses[:at]]
