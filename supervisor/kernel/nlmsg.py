"""What the packets of netlink(7) are made of: messages, each behind a header of its own."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence number, port."""
_ALIGNED = 4


class Received(NamedTuple):
    """One message: an answer, or a notification."""

    kind: int
    flags: int
    number: int
    """Of the request that it answers."""
    port: int
    """Of the socket that asked for what it tells of: its process's id, mostly."""
    whole: bytes
    """With the header."""

    @property
    def data(self) -> bytes:
        """Behind the header."""
        return self.whole[HEADER.size :]


def split(packet: bytes) -> Iterator[Received]:
    """The messages of a packet; one that has no whole header ends it."""
    at = 0
    while at + HEADER.size <= len(packet):
        length, kind, flags, number, port = HEADER.unpack_from(packet, at)
        if length < HEADER.size:
            return
        yield Received(kind, flags, number, port, packet[at : at + length])
        at += -(-length // _ALIGNED) * _ALIGNED
