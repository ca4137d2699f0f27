"""Ports of the host while a container has them: bound, so that nobody else can take them; the firewall does the rest.

The sockets are bound and never listen: what is published is translated before it reaches them (network/rules.py),
or else carried by who listens on a duplicate (network/relay.py).
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from pysup.store.endpoints import Port
from pysup.supervisor.kernel import netns
from pysup.supervisor.runtime.listeners import only_connections
from pysup.supervisor.spec.container import Binding
from pysup.supervisor.spec.network import LAST_PORT

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_STREAM}
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_TRIES = 16
"""For a random port that is to be had for IPv4 and IPv6 alike."""


class Taken(NamedTuple):
    """A port of the host that is ours, and where it leads."""

    protocol: str
    host_ip: str
    host_port: int
    port: int


class Refused(OSError):
    """A port cannot be had."""

    def __init__(self, binding: Binding, address: str, error: OSError, *, twice: bool) -> None:
        super().__init__(error.errno, error.strerror)
        self.binding = binding
        self.twice = twice
        """Whether the container itself has it, by another binding."""
        self.wanted = str(binding.first)
        if binding.last != binding.first:
            self.wanted += f"-{binding.last}"
        place = f"[{address}]" if ":" in address else address
        self.where = f"{place}:{self.wanted}/{binding.protocol}"


class Ports:
    """Those of one run. close() gives them back."""

    def __init__(self) -> None:
        self._held: dict[Taken, socket.socket | None] = {}
        """None: it was lost, and stays published."""

    @property
    def taken(self) -> tuple[Taken, ...]:
        """All that are ours."""
        return tuple(self._held)

    def take(
        self, bindings: Iterable[Binding], remembered: Sequence[Port], addresses: Sequence[str]
    ) -> list[Taken]:
        """Take all of them besides what is taken already, or raise Refused, and take none.

        ``remembered``: what the container had before; a random port comes back if it can. ``addresses``: those of
        the host for a binding that names none, one for each IP version that the container has.
        """
        new: list[Taken] = []
        try:
            for binding in bindings:
                new += self._take(binding, remembered, addresses_of(binding, addresses))
        except BaseException:
            self.give_back(new)
            raise
        return new

    def take_over(self, sockets: Mapping[Taken, socket.socket]) -> None:
        """Have these, which are bound already."""
        self._held.update(sockets)

    def take_again(self, ports: Iterable[Port]) -> list[Taken]:
        """Those of a container that an earlier engine started; one that is lost stays published."""
        again = [Taken(one.protocol, one.host_ip, one.host_port, one.container_port) for one in ports]
        for taken in again:
            if taken not in self._held:
                self._held[taken] = None
                with suppress(OSError):
                    self._held[taken], _ = _bound(taken.protocol, taken.host_ip, taken.host_port)
        return again

    def socket_of(self, taken: Taken) -> socket.socket | None:
        """The socket that holds a port; None: it was lost."""
        return self._held.get(taken)

    def give_back(self, ports: Iterable[Taken]) -> None:
        """Let others have these."""
        for taken in ports:
            sock = self._held.pop(taken, None)
            if sock is not None:
                with sock, suppress(OSError):
                    sock.shutdown(
                        socket.SHUT_RDWR
                    )  # also where there is a duplicate, nobody listens any more

    def close(self) -> None:
        """Give all of them back."""
        self.give_back(self.taken)

    def _take(self, binding: Binding, remembered: Sequence[Port], addresses: tuple[str, ...]) -> list[Taken]:
        failure: OSError | None = None
        for number in _candidates(binding, remembered):
            try:
                return self._take_at(binding, addresses, number)
            except OSError as error:
                failure = error
        if failure is not None:
            twice = any(
                (one.protocol, one.host_port) == (binding.protocol, binding.last) for one in self._held
            )
            raise Refused(binding, str(failure.filename), failure, twice=twice) from failure
        return []

    def _take_at(self, binding: Binding, addresses: tuple[str, ...], number: int) -> list[Taken]:
        """The same port on each address. An error has the address that refused it as its ``filename``."""
        bound: list[socket.socket] = []
        try:
            for address in addresses:
                made, number = _bound(binding.protocol, address, number)
                bound.append(made)
        except OSError as error:
            error.filename = addresses[len(bound)]
            for one in bound:
                one.close()
            raise
        new = [Taken(binding.protocol, address, number, binding.port) for address in addresses]
        self._held.update(zip(new, bound, strict=True))
        return new


def addresses_of(binding: Binding, addresses: Sequence[str]) -> tuple[str, ...]:
    """The host's addresses that a binding is for."""
    return (binding.host_ip,) if binding.host_ip else tuple(addresses)


def still_wanted(
    bindings: Iterable[Binding], taken: Iterable[Taken], addresses: Sequence[str]
) -> tuple[set[Taken], list[Binding]]:
    """What is taken and goes on, and the bindings for which something must be taken yet. Pure.

    Those with the least choice come first: any port that is free must not be one that another binding names.
    """
    free, kept, missing = set(taken), set[Taken](), []
    for binding in sorted(bindings, key=_choice):
        places = addresses_of(binding, addresses)
        numbers = sorted({one.host_port for one in free if _fits(binding, one)})
        whole = (
            {Taken(binding.protocol, place, number, binding.port) for place in places} for number in numbers
        )
        found = next((ports for ports in whole if ports <= free), None)
        if found is None:
            missing.append(binding)
        else:
            kept |= found
            free -= found
    return kept, missing


def _choice(binding: Binding) -> int:
    return binding.last - binding.first if binding.first else LAST_PORT


def _fits(binding: Binding, taken: Taken) -> bool:
    number = binding.first <= taken.host_port <= binding.last if binding.first else True
    return number and (taken.protocol, taken.port) == (binding.protocol, binding.port)


def _candidates(binding: Binding, remembered: Sequence[Port]) -> Iterator[int]:
    """The ports to try, in their order; 0 lets the kernel choose."""
    if binding.first:
        yield from range(binding.first, binding.last + 1)
        return
    same = (
        one for one in remembered if (one.protocol, one.container_port) == (binding.protocol, binding.port)
    )
    yield from (one.host_port for one in same)
    yield from [0] * _TRIES


def has_ipv6() -> bool:
    """Whether the host has IPv6 at all, asked as docker asks (moby libnetwork/drivers/bridge, IsV6Listenable)."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def _bound(protocol: str, address: str, port: int) -> tuple[socket.socket, int]:
    """A socket that has the port, and its number; 0 lets the kernel choose one.

    Without SO_REUSEADDR it is ours alone, listening or not (socket(7)). Raises OSError.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if protocol == "sctp" and not netns.is_governed():
        raise OSError(errno.EPROTONOSUPPORT, "without root, ports of tcp and udp alone can be carried")
    try:
        made = socket.socket(family, _KINDS[protocol] | socket.SOCK_CLOEXEC, _PROTOCOLS[protocol])
    except OSError as error:
        if protocol == "sctp" and error.errno == errno.EPROTONOSUPPORT:
            return _stand_in(address, port)
        raise
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listens = protocol == "tcp" and (family == socket.AF_INET6 or not netns.is_governed())
        if listens:  # network/relay.py; its own old connections do not matter
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(made, protocol, address, port)
        if listens:  # now, or another one with SO_REUSEADDR could have it, too
            made.listen()
        return made, made.getsockname()[1]
    except OSError:
        made.close()
        raise


def _stand_in(address: str, port: int) -> tuple[socket.socket, int]:
    """A kernel without SCTP forwards its packets all the same, but has no ports of it: who has one is told by a name
    that only one socket of a network namespace can have (unix(7), abstract). Any number will do, as one that UDP has
    free.
    """
    number = port or _free_number()
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        made.bind(f"\0pysup sctp {address} {number}")
    except OSError:
        made.close()
        raise
    return made, number


def _free_number() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("", 0))
        return int(made.getsockname()[1])


def _bind(made: socket.socket, protocol: str, address: str, port: int) -> None:
    try:
        made.bind((address, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE or protocol != "tcp" or not only_connections(port):
            raise
        _bind_past_connections(made, address, port)


def _bind_past_connections(made: socket.socket, address: str, port: int) -> None:
    """A server that has ended leaves connections for a minute (TIME_WAIT), past which the next one binds its port.

    To listen for a moment proves that nobody else does; without the option nobody else can from then on.
    """
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, port))
    made.listen(0)
    made.shutdown(socket.SHUT_RDWR)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
