"""A packet in, an answer out: the messages of RFC 1035, by dnspython. Pure but for whose turn it is.

As docker answers (moby libnetwork/resolver.go): a name of a container has its addresses, and an empty answer
(NOERROR) for what it has none of; what is unknown is asked of other servers, whose NXDOMAIN is passed on. Other
than docker, any other type of a known name is answered emptily, too: no server outside learns of it, or denies it.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from pysup.supervisor.network.addresses import IPV4, IPV6, Address
from pysup.supervisor.network.names.zone import Zone, rotated

TTL = 600
"""Seconds; docker's."""
SMALLEST, LARGEST = 512, 65535
"""Of an answer: over UDP without EDNS (RFC 1035), and over TCP."""
OUR_SIZE = 1232
"""What we say that we take over UDP (DNS Flag Day 2020): no fragments."""
_HEADER = struct.Struct("!HHHHHH")
_SHORTEST = 16
"""Bytes of a record: no more are made than can fit."""
_IN = dns.rdataclass.IN
_MOST_TURNS = 4096
_TRANSFERS = (dns.rdatatype.AXFR, dns.rdatatype.IXFR)
_KINDS = {IPV4: dns.rdatatype.A, IPV6: dns.rdatatype.AAAA}
Message = dns.message.Message


class Ignored(Enum):
    """What deserves no answer: it is no question at all."""

    PACKET = "packet"


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A question that can be understood."""

    packet: bytes
    message: Message
    limit: int
    """The longest answer that the client takes, in bytes."""

    @property
    def name(self) -> dns.name.Name:
        """What is asked about."""
        return self.message.question[0].name

    @property
    def kind(self) -> dns.rdatatype.RdataType:
        """The type of record asked for."""
        return self.message.question[0].rdtype


class Turns:
    """Whose turn it is, for each name and type; forgotten now and then, so that they do not grow for ever."""

    def __init__(self) -> None:
        self._taken: Counter[tuple[dns.name.Name, int]] = Counter()

    def next(self, name: dns.name.Name, kind: int) -> int:
        """0, 1, 2, …"""
        if len(self._taken) > _MOST_TURNS:
            self._taken.clear()
        self._taken[name, kind] += 1
        return self._taken[name, kind] - 1


def read(packet: bytes, *, over_tcp: bool) -> Query | bytes | Ignored:
    """The query, or the answer that says what is wrong with it."""
    if len(packet) < _HEADER.size:
        return Ignored.PACKET
    (_, flags, questions, _, _, _) = _HEADER.unpack_from(packet)
    if flags & dns.flags.QR:
        return Ignored.PACKET
    if dns.opcode.from_flags(flags) != dns.opcode.QUERY:
        return refusal(packet, dns.rcode.NOTIMP)
    if questions != 1:
        return refusal(packet, dns.rcode.FORMERR)
    return _parsed(packet, over_tcp=over_tcp)


def _parsed(packet: bytes, *, over_tcp: bool) -> Query | bytes:
    try:
        message = dns.message.from_wire(packet, keyring=False, ignore_trailing=True)
    except dns.exception.DNSException:
        return refusal(packet, dns.rcode.FORMERR)
    limit = LARGEST if over_tcp else max(SMALLEST, message.payload)
    query = Query(packet, message, limit)
    if message.edns > 0:
        return failure(query, dns.rcode.BADVERS)
    if query.kind in _TRANSFERS:
        return failure(query, dns.rcode.REFUSED)
    return query


def refusal(packet: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """An answer to what could not be read: only the header (RFC 1035, 4.1.1)."""
    number, flags = struct.unpack_from("!HH", packet)
    kept = flags & (dns.flags.RD | 0x7800)  # and the operation
    return _HEADER.pack(number, dns.flags.QR | kept | rcode, 0, 0, 0, 0)


def failure(query: Query, rcode: dns.rcode.Rcode) -> bytes:
    """An answer without records: SERVFAIL and the like."""
    answer = _empty(query)
    answer.set_rcode(rcode)
    return answer.to_wire()


def nothing(query: Query) -> bytes:
    """NOERROR, and no records: the name has nothing of this type."""
    return _empty(query).to_wire()


def answer(query: Query, zone: Zone, turns: Turns) -> bytes | None:
    """What the zone says; None: nothing, ask elsewhere."""
    if query.message.question[0].rdclass not in {dns.rdataclass.IN, dns.rdataclass.ANY}:
        return None
    addresses = _addresses(query.name, zone)
    records = _reverse(query, zone) if addresses is None else _forward(query, addresses, turns)
    if records is None:
        return None
    message = _empty(query)
    message.answer = records
    return rendered(message, query.limit)


def _empty(query: Query) -> Message:
    return dns.message.make_response(query.message, recursion_available=True, our_payload=OUR_SIZE)


def _addresses(name: dns.name.Name, zone: Zone) -> tuple[Address, ...] | None:
    """A label with a dot in it is no two labels."""
    if any(b"." in label for label in name.labels):
        return None
    return zone.addresses(b".".join(name.labels[:-1]).decode("utf-8", "surrogateescape"))


def _forward(query: Query, addresses: tuple[Address, ...], turns: Turns) -> list[dns.rrset.RRset]:
    found: list[dns.rrset.RRset] = []
    for version, kind in _KINDS.items():
        if query.kind in {kind, dns.rdatatype.ANY}:
            fitting = [address for address in addresses if address.version == version]
            turn = turns.next(query.name, kind) if len(fitting) > 1 else 0
            some = rotated(fitting, turn)[: query.limit // _SHORTEST + 1]
            found += [
                _record(query.name, dns.rdata.from_wire(_IN, kind, address.packed, 0, len(address.packed)))
                for address in some
            ]
    return found


def _reverse(query: Query, zone: Zone) -> list[dns.rrset.RRset] | None:
    address = _reversed(query.name)
    name = None if address is None else zone.name_of(address)
    if name is None:
        return None
    if query.kind not in {dns.rdatatype.PTR, dns.rdatatype.ANY}:
        return []
    try:
        return [_record(query.name, dns.rdata.from_text(_IN, dns.rdatatype.PTR, f"{name}."))]
    except dns.exception.DNSException:  # a name may be longer than a label
        return None


def _reversed(name: dns.name.Name) -> Address | None:
    """The address that a name below in-addr.arpa or ip6.arpa stands for (RFC 1035, 3.5; RFC 3596, 2.5)."""
    try:
        return ip_address(dns.reversename.to_address(name))
    except (dns.exception.DNSException, ValueError):
        return None


def _record(name: dns.name.Name, data: dns.rdata.Rdata) -> dns.rrset.RRset:
    """Each record is a set of its own: dnspython shuffles what is in one."""
    return dns.rrset.from_rdata(name, TTL, data)


# -- size ----------------------------------------------------------------------------------------------------


def rendered(message: Message, limit: int) -> bytes:
    """The message, with as many records as fit into ``limit`` bytes; TC says that there are more (RFC 2181, 9).

    dnspython drops sets as a whole, so each record must be one.
    """
    return message.to_wire(max_size=limit, prefer_truncation=True)


def fitted(reply: bytes, limit: int) -> bytes:
    """Another server's answer, cut to what the client takes."""
    if len(reply) <= limit:
        return reply
    try:
        message = dns.message.from_wire(reply, keyring=False, one_rr_per_rrset=True, ignore_trailing=True)
        return rendered(message, limit)
    except dns.exception.DNSException:
        number, flags = struct.unpack_from("!HH", reply)
        return _HEADER.pack(number, flags | dns.flags.TC, 0, 0, 0, 0)


# -- other servers' answers ----------------------------------------------------------------------------------


def renumbered(packet: bytes, number: int) -> bytes:
    """The same with another id."""
    return number.to_bytes(2, "big") + packet[2:]


def answers(query: Query, number: int, reply: bytes) -> bool:
    """Whether this is an answer to the question, asked under this id: anybody may send a packet (RFC 5452)."""
    if len(reply) < _HEADER.size or int.from_bytes(reply[:2], "big") != number:
        return False
    try:
        told = dns.message.from_wire(reply, question_only=True, keyring=False, ignore_trailing=True)
    except dns.exception.DNSException:
        return False
    return bool(told.flags & dns.flags.QR) and told.question == query.message.question


def rcode_of(reply: bytes) -> int:
    """The lower 4 bits, which are all that matter here."""
    return reply[3] & 0xF


def is_truncated(reply: bytes) -> bool:
    """Whether there is more to be had over TCP."""
    return bool(reply[2] & 0x02)
