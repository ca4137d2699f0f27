"""What was answered before is answered the same, until it is true no more; nothing of it grows for ever."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysup.supervisor.network.names import known, server, wire
from pysup.supervisor.network.names.known import Known
from pysup.supervisor.network.names.upstreams import Upstreams
from pysup.supervisor.network.names.zone import Member, Table, Zone

MEMBERS = [
    Member(name, f"{number}", (ip_address(f"10.0.0.{number}"),), aliases=("same",))
    for number, name in enumerate(("a", "b", "a"))
]
CHANGES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["a", "b", "same", "link", "x"])), max_size=12
)


def question(name: str, number: int = 7) -> bytes:
    """A packet."""
    return dns.message.make_query(name, "A", id=number).to_wire()


def records(packet: object) -> set[str] | None:
    """Of an answer; None: it is a question for others."""
    if not isinstance(packet, bytes):
        return None
    return {str(record) for rrset in dns.message.from_wire(packet).answer for record in rrset}


@settings(max_examples=50)
@given(CHANGES, st.booleans())
def test_what_is_remembered_is_what_the_zone_says(changes: list[tuple[int, str]], linked: bool) -> None:
    table, on_it = Table("n"), set[int]()
    zone = Zone((table,))
    resolver = server.Resolver(lambda: zone, Upstreams)
    for which, name in changes:
        (table.remove if which in on_it else table.add)(str(which), MEMBERS[which])
        on_it ^= {which}
        zone = replace(zone, links={"link": name}) if linked else zone
        for _ in range(2):
            fresh = wire.read(question(name), over_tcp=False)
            assert isinstance(fresh, wire.Query)
            expected = wire.answer(fresh, zone, wire.Turns())
            assert records(resolver.begin(question(name), over_tcp=False)) == records(expected)


def test_an_answer_has_the_id_of_its_question() -> None:
    table = Table("n")
    table.add("0", MEMBERS[0])
    resolver = server.Resolver(lambda: Zone((table,)), Upstreams)
    answers = [resolver.begin(question("a", number), over_tcp=False) for number in (1, 2)]
    assert [answer[:2] for answer in answers if isinstance(answer, bytes)] == [b"\0\1", b"\0\2"]
    assert records(answers[0]) == records(answers[1]) == {"10.0.0.0"}


ANSWER = dns.message.make_response(dns.message.from_wire(question("a"))).to_wire()
TRUNCATED = ANSWER[:2] + bytes([ANSWER[2] | 2]) + ANSWER[3:]


@pytest.mark.parametrize(
    ("packet", "answer", "kept"),
    [
        (question("a"), ANSWER, True),
        (question("a"), TRUNCATED, False),
        (question("a"), ANSWER[:7] + b"\2" + ANSWER[8:], False),
        (question("a") + bytes(500), ANSWER, False),
        (question("a"), ANSWER + bytes(500), False),
    ],
    ids=["small", "cut off", "takes turns", "large question", "large answer"],
)
def test_only_small_answers_that_stay_the_same_are_kept(packet: bytes, answer: bytes, kept: bool) -> None:
    answers, zone = Known(), Zone(())
    assert answers.find(packet, zone) is None
    answers.keep(packet, answer)
    assert (answers.find(packet, zone) is not None) is kept


def test_a_container_that_asks_for_ever_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "_MOST", 4)
    answers, zone = Known(), Zone(())
    asked = [question(f"n{number}") for number in range(20)]
    answers.find(asked[0], zone)
    for packet in asked:
        answers.keep(packet, ANSWER)
    assert sum(answers.find(packet, zone) is not None for packet in asked) <= 4
    assert answers.find(asked[-1], zone) is not None
