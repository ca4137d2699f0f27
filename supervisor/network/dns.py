"""DNS messages of a container's resolver: questions in, answers out (RFC 1035), by dnspython. Pure.

Its import takes a while, so this module is imported when the first container of a user network starts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

TTL = 600
"""Seconds; docker's."""
UDP_LIMIT = 512
"""RFC 1035 section 4.2.1: what a client without EDNS takes."""
_FAMILIES = {dns.rdatatype.A: ".", dns.rdatatype.AAAA: ":"}
"""The sign that every address of that family has."""


class Names(NamedTuple):
    """What is known of the containers that one may know of."""

    addresses: Callable[[str], Sequence[str]]
    """Of a name, in lower case and without the last dot; empty: nobody has it."""
    names: Callable[[str], Sequence[str]]
    """Of an address."""


class Malformed(Exception):
    """Not a question. ``answer``: what can be said to it, if anything."""

    def __init__(self, answer: bytes = b"") -> None:
        super().__init__("not a question")
        self.answer = answer


def read(data: bytes) -> dns.message.QueryMessage:
    """A question. Raises Malformed."""
    try:
        query = dns.message.from_wire(data)
    except (dns.exception.DNSException, ValueError, IndexError) as error:
        raise Malformed(_format_error(data)) from error
    if query.flags & dns.flags.QR:  # an answer to nobody: two resolvers could entertain each other for ever
        raise Malformed
    if not isinstance(query, dns.message.QueryMessage) or len(query.question) != 1:
        raise Malformed(refusal(query, dns.rcode.NOTIMP))
    return query


def _format_error(data: bytes) -> bytes:
    """The question's id with FORMERR, if that much can be read and it is no answer itself."""
    header = 12
    if len(data) < header or data[2] & 0x80:
        return b""
    return data[:2] + bytes((0x80, dns.rcode.FORMERR)) + bytes(8)


def own_answer(query: dns.message.QueryMessage, known: Names) -> dns.message.Message | None:
    """The answer of the containers' own names; None: somebody else is to be asked."""
    (asked,) = query.question
    if asked.rdclass != dns.rdataclass.IN:
        return None
    if asked.rdtype == dns.rdatatype.PTR:
        return _pointer(query, asked.name, known)
    found = known.addresses(asked.name.to_text(omit_final_dot=True).lower())
    if not found:
        return None
    answer = _reply(query)
    shown = random.sample(list(found), len(found))
    for kind, sign in _FAMILIES.items():
        texts = [address for address in shown if sign in address]
        if texts and asked.rdtype in (kind, dns.rdatatype.ANY):
            answer.answer.append(dns.rrset.from_text_list(asked.name, TTL, dns.rdataclass.IN, kind, texts))
    return answer


def _pointer(
    query: dns.message.QueryMessage, name: dns.name.Name, known: Names
) -> dns.message.Message | None:
    try:
        address = dns.reversename.to_address(name)
    except (dns.exception.DNSException, ValueError):
        return None
    names = [f"{one}." for one in known.names(address)]
    if not names:
        return None
    answer = _reply(query)
    answer.answer.append(dns.rrset.from_text_list(name, TTL, dns.rdataclass.IN, dns.rdatatype.PTR, names))
    return answer


def _reply(query: dns.message.Message) -> dns.message.Message:
    return dns.message.make_response(query, recursion_available=True)


def refusal(query: dns.message.Message, code: dns.rcode.Rcode) -> bytes:
    """An answer that there is none."""
    answer = _reply(query)
    answer.set_rcode(code)
    return answer.to_wire()


def failure(query: dns.message.QueryMessage) -> bytes:
    """Nobody that could be asked has answered."""
    return refusal(query, dns.rcode.SERVFAIL)


def wire(answer: dns.message.Message, query: dns.message.QueryMessage, *, limited: bool) -> bytes:
    """The answer, under the question's id; ``limited``: cut to what the client takes by UDP, and marked as cut."""
    answer.id = query.id
    if not limited:
        return answer.to_wire(max_size=65535)
    limit = max(query.payload, UDP_LIMIT)
    try:
        return answer.to_wire(max_size=limit)
    except dns.exception.TooBig:
        cut = _reply(query)
        cut.flags |= dns.flags.TC
        return cut.to_wire()
