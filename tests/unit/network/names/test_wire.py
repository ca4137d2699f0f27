"""Answers as docker's resolver gives them, cut to size; whatever comes in, nothing breaks."""

from __future__ import annotations

from ipaddress import ip_address

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.reversename
import dns.update
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysup.supervisor.network.names import wire
from pysup.supervisor.network.names.wire import Ignored, Message, Query, Turns
from pysup.supervisor.network.names.zone import Member, Table, Zone

NETWORK = Table("net")
NETWORK.add("1", Member("web", "0123456789ab", (ip_address("10.9.0.2"), ip_address("fd09::2"))))
NETWORK.add("2", Member("db", "ba9876543210", (ip_address("10.9.0.3"),), aliases=("pair", "bücher")))
NETWORK.add("3", Member("db2", "ba9876543211", (ip_address("10.9.0.4"),), aliases=("pair",)))
NETWORK.add("4", Member("l" * 64, "ba9876543212", (ip_address("10.9.0.5"),)))
for number in range(200):
    NETWORK.add(
        f"many{number}", Member(f"m{number}", f"{number}", (ip_address(f"10.8.0.{number}"),), "", ("many",))
    )
ZONE = Zone((NETWORK,))


def read(message: Message, *, over_tcp: bool = False) -> Query:
    query = wire.read(message.to_wire(), over_tcp=over_tcp)
    assert isinstance(query, Query)
    return query


def asked(name: str, kind: str = "A", turns: Turns | None = None, **options: object) -> Message | None:
    """What the zone answers to a question."""
    over_tcp = bool(options.pop("over_tcp", False))
    message = dns.message.make_query(name, kind, **options)
    reply = wire.answer(read(message, over_tcp=over_tcp), ZONE, turns or Turns())
    if reply is None:
        return None
    answer = dns.message.from_wire(reply, one_rr_per_rrset=True)
    assert message.is_response(answer)
    return answer


def data(answer: Message | None) -> list[str]:
    assert answer is not None
    return [str(record) for rrset in answer.answer for record in rrset]


def test_addresses_of_a_name_keep_its_case_and_dockers_time() -> None:
    answer = asked("WeB.")
    assert answer is not None
    (record,) = answer.answer
    assert (str(record.name), record.ttl, str(record[0])) == ("WeB.", 600, "10.9.0.2")
    assert answer.flags == dns.flags.QR | dns.flags.RD | dns.flags.RA
    assert data(asked("web.net", "AAAA")) == ["fd09::2"]
    assert data(asked("web", "ANY")) == ["10.9.0.2", "fd09::2"]


@pytest.mark.parametrize("kind", ["AAAA", "MX", "TXT", "HTTPS", "PTR"])
def test_what_a_known_name_has_none_of_is_empty_and_no_error(kind: str) -> None:
    answer = asked("db", kind)
    assert answer is not None
    assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])


@pytest.mark.parametrize("name", ["nobody", "web.other", r"web\.net", ".", "net", "1.0.9.10.in-addr.arpa"])
def test_what_is_unknown_is_for_others(name: str) -> None:
    assert asked(name) is None
    assert asked(name, "PTR") is None


def test_a_name_beyond_ascii_is_found() -> None:
    name = dns.name.Name(("bücher".encode(), b""))
    reply = wire.answer(read(dns.message.make_query(name, "A")), ZONE, Turns())
    assert reply is not None and dns.message.from_wire(reply).answer


def test_reverse_look_ups_name_container_and_network() -> None:
    for address in ("10.9.0.2", "fd09::2"):
        name = str(dns.reversename.from_address(address))
        assert data(asked(name, "PTR")) == data(asked(name, "ANY")) == ["web.net."]
        assert data(asked(name.upper(), "A")) == []


def test_a_container_whose_name_is_no_label_has_no_reverse_name() -> None:
    assert asked("5.0.9.10.in-addr.arpa", "PTR") is None


def test_another_class_is_not_ours() -> None:
    assert asked("web", "TXT", rdclass="CH") is None


def test_those_of_one_alias_take_turns_whatever_else_is_asked_meanwhile() -> None:
    turns = Turns()
    firsts = []
    for _ in range(4):
        firsts.append(data(asked("pair", "A", turns))[0])
        asked("pair", "AAAA", turns)
        asked("web", "A", turns)
    assert firsts == ["10.9.0.3", "10.9.0.4"] * 2


@settings(max_examples=25)
@given(st.integers(0, 65535), st.booleans())
def test_an_answer_is_cut_to_what_the_client_takes(payload: int, over_tcp: bool) -> None:
    answer = asked("many", use_edns=0, payload=payload, over_tcp=over_tcp)
    assert answer is not None
    limit = 65535 if over_tcp else max(512, payload)
    size, count = len(answer.to_wire()), len(data(answer))
    assert size <= limit
    truncated = bool(answer.flags & dns.flags.TC)
    assert truncated == (count < 200)
    assert not truncated or size + 16 > limit


@pytest.mark.parametrize(
    ("packet", "rcode"),
    [
        (dns.message.make_query("web", "A", use_edns=1, id=1).to_wire(), dns.rcode.BADVERS),
        (dns.message.make_query("web", "AXFR", id=2).to_wire(), dns.rcode.REFUSED),
        (dns.update.Update("web", id=3).to_wire(), dns.rcode.NOTIMP),
        (dns.message.make_query("web", "A", id=4).to_wire()[:-1], dns.rcode.FORMERR),
        (bytes.fromhex("123401000000000000000000"), dns.rcode.FORMERR),
    ],
    ids=["EDNS 1", "AXFR", "UPDATE", "cut off", "no question"],
)
def test_what_cannot_be_answered_is_told(packet: bytes, rcode: dns.rcode.Rcode) -> None:
    reply = wire.read(packet, over_tcp=False)
    assert isinstance(reply, bytes)
    answer = dns.message.from_wire(reply)
    assert (answer.id, answer.rcode()) == (int.from_bytes(packet[:2], "big"), rcode)
    assert answer.flags & dns.flags.QR


def test_an_answer_is_no_question() -> None:
    answer = dns.message.make_response(dns.message.make_query("web", "A"))
    assert wire.read(answer.to_wire(), over_tcp=False) is Ignored.PACKET
    assert wire.read(b"", over_tcp=True) is Ignored.PACKET


GOOD = dns.message.make_query("web.net", "A", use_edns=0, payload=1232).to_wire()
ANSWER = wire.answer(read(dns.message.make_query("many", "A"), over_tcp=True), ZONE, Turns()) or b""


def spoiled(packet: bytes) -> st.SearchStrategy[bytes]:
    """A packet with some bytes exchanged, and cut somewhere."""
    changes = st.lists(st.tuples(st.integers(0, min(len(packet), 80) - 1), st.integers(0, 255)), max_size=6)
    return st.builds(
        lambda marks, cut: bytes({**dict(enumerate(packet)), **dict(marks)}.values())[: cut or None],
        changes,
        st.integers(0, len(packet)),
    )


HEADED = st.builds(
    lambda head, rest: head + rest, st.sampled_from([GOOD[:12], b"\0" * 12]), st.binary(max_size=90)
)


@given(st.one_of(st.binary(max_size=600), HEADED, spoiled(GOOD)), st.booleans())
def test_no_packet_breaks_anything(packet: bytes, over_tcp: bool) -> None:
    query = wire.read(packet, over_tcp=over_tcp)
    if isinstance(query, Ignored):
        assert len(packet) < 12 or packet[2] & 0x80
        return
    replies = [query] if isinstance(query, bytes) else [
        wire.answer(query, ZONE, Turns()), wire.failure(query, dns.rcode.SERVFAIL), wire.nothing(query)
    ]  # fmt: skip
    for reply in replies:
        if reply is not None:
            assert (
                reply[:2] == packet[:2]
                and reply[2] & 0x80
                and len(reply) <= (65535 if over_tcp else 1232 + 65536)
            )


@given(st.one_of(st.binary(min_size=12, max_size=600), spoiled(ANSWER)), st.integers(12, 600))
def test_whatever_another_server_says_is_cut_to_size(reply: bytes, limit: int) -> None:
    if len(reply) >= 12:
        assert len(wire.fitted(reply, max(512, limit))) <= max(512, limit)


@given(st.one_of(st.binary(max_size=100), spoiled(GOOD)), st.integers(0, 65535))
def test_only_what_echoes_id_and_question_is_an_answer(packet: bytes, number: int) -> None:
    query = read(dns.message.make_query("Example.COM", "A"))
    assert not wire.answers(query, number, packet)
    for name, kind, expected in (
        ("example.com", "A", True),
        ("example.com", "AAAA", False),
        ("b.com", "A", False),
    ):
        other = dns.message.make_query(name, kind, id=number)
        assert not wire.answers(query, number, other.to_wire())
        reply = dns.message.make_response(other).to_wire()
        assert wire.answers(query, number, reply) is expected
        assert not wire.answers(query, number ^ 1, reply)
