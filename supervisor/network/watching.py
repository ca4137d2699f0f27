"""What somebody else took away: notifications of nf_tables and rtnetlink(7), of which only losses wake anybody."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Iterable

import trio

from pysup.supervisor.kernel import nftables, socket_filter
from pysup.supervisor.kernel.nlmsg import Received, split
from pysup.supervisor.kernel.socket_filter import Wanted, Word
from pysup.supervisor.network.netlink import attributes

_LARGEST = 1 << 18
_GROUP_NFTABLES = 1 << 6
_GROUP_LINK, _GROUP_ADDRESS4, _GROUP_ADDRESS6 = 1 << 0, 1 << 4, 1 << 8
_GROUP_SETTINGS4, _GROUP_SETTINGS6 = 1 << 23, 1 << 24
"""RTNLGRP_IPV4_NETCONF and RTNLGRP_IPV6_NETCONF (linux/rtnetlink.h)."""
_NEWLINK, _DELLINK, _DELADDR, _NEWNETCONF = 16, 17, 21, 80
_NFTABLES = 10 << 8
_DELETIONS = tuple(_NFTABLES | kind for kind in (2, 5, 8, 11, 14))
"""NFT_MSG_DELTABLE, DELCHAIN, DELRULE, DELSET and DELSETELEM (linux/netfilter/nf_tables.h)."""
_GENERATION = _NFTABLES | 15
"""NFT_MSG_NEWGEN, the last message of a transaction: who made it."""
_TABLE, _WHO_PID, _WHO_NAME = 1, 2, 3
_GENERIC = 4
"""Bytes of struct nfgenmsg, before the attributes."""
_INDEX = struct.Struct("=4xi")
"""Of the interface, in struct ifinfomsg and ifaddrmsg alike."""


UNKNOWN = "an unknown process"


class Watch:
    """A netlink socket that joined groups and lets some messages pass. A context."""

    def __init__(self, family: int, groups: int, wanted: Iterable[Wanted]) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, family
        )
        try:
            socket_filter.accept(self._socket, wanted)
            self._socket.bind((0, groups))
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Watch no longer."""
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()

    async def more(self) -> list[Received] | None:
        """Wait for messages; None: some were lost, so anything may have happened."""
        await trio.lowlevel.wait_readable(self._socket)
        return self.pending()

    def pending(self) -> list[Received] | None:
        """Those that are here already."""
        found: list[Received] = []
        while True:
            try:
                found += split(self._socket.recv(_LARGEST))
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                return None


# -- rules ---------------------------------------------------------------------------------------------------


def watch_rules() -> Watch:
    """Deletions of nftables, and who did each."""
    return Watch(nftables.NETFILTER, _GROUP_NFTABLES, map(Wanted, (*_DELETIONS, _GENERATION)))


def thief(messages: Iterable[Received], table: str, own_port: int) -> str:
    """Who took something out of a table, other than we ourselves; empty: nobody."""
    name, lost = table.encode() + b"\0", False
    for message in messages:
        if message.port == own_port:
            continue
        told = dict(attributes(message.data[_GENERIC:]))
        if message.kind == _GENERATION and lost:
            return _who(told)
        lost |= message.kind != _GENERATION and told.get(_TABLE) == name
    return UNKNOWN if lost else ""


def _who(told: dict[int, bytes]) -> str:
    name = told.get(_WHO_NAME, b"").rstrip(b"\0").decode(errors="replace")
    return f"{name} (pid {int.from_bytes(told.get(_WHO_PID, b''), 'big')})"


# -- interfaces ----------------------------------------------------------------------------------------------


_FLAGS, _CHANGES = 24, 28
"""Of struct ifinfomsg, behind struct nlmsghdr."""
_UP = 1
_FIRST_TOLD = 1 << 31
"""A new interface is told of with all changes set; no flag of one has this bit."""
_BROUGHT_DOWN = Wanted(_NEWLINK, (Word(_FLAGS, 0, _UP), Word(_CHANGES, _UP, _UP | _FIRST_TOLD)))
_NAME = 36
"""The interface's name, the first attribute behind struct ifinfomsg."""
_LENGTH, _SECOND, _FORWARDING = 0, 28, 2
"""A change of one setting has struct netconfmsg, the interface's number, and the setting: 36 bytes; what is told of a
new interface is longer (inet_netconf_fill_devconf)."""
_SWITCHED = Wanted(
    _NEWNETCONF,
    (Word(_LENGTH, 36), Word(_SECOND, int.from_bytes(struct.pack("=HH", 8, _FORWARDING), sys.byteorder))),
)


def watch_links() -> Watch:
    """Interfaces that go or are brought down, and addresses that are taken from one."""
    groups = _GROUP_LINK | _GROUP_ADDRESS4 | _GROUP_ADDRESS6
    return Watch(socket.NETLINK_ROUTE, groups, (Wanted(_DELLINK), Wanted(_DELADDR), _BROUGHT_DOWN))


def watch_new_interfaces(beginnings: Iterable[str]) -> Watch:
    """Interfaces that come and whose names begin so, by at most four characters."""
    return Watch(socket.NETLINK_ROUTE, _GROUP_LINK, map(_made, beginnings))


def _made(beginning: str) -> Wanted:
    first, counted = beginning.encode().ljust(4, b"\0"), (b"\xff" * len(beginning)).ljust(4, b"\0")
    name = Word(_NAME, int.from_bytes(first, sys.byteorder), int.from_bytes(counted, sys.byteorder))
    return Wanted(_NEWLINK, (Word(_CHANGES, _FIRST_TOLD, _FIRST_TOLD), name))


def watch_forwarding() -> Watch:
    """Forwarding, switched on or off: of the machine, or of an interface."""
    return Watch(socket.NETLINK_ROUTE, _GROUP_SETTINGS4 | _GROUP_SETTINGS6, (_SWITCHED,))


def touched(messages: Iterable[Received]) -> frozenset[int]:
    """The numbers of the interfaces."""
    return frozenset(_INDEX.unpack_from(message.data)[0] for message in messages)
