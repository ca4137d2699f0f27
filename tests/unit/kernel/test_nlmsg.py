"""Packets of netlink, taken apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.kernel.nlmsg import HEADER, split

NUMBERS = st.integers(0, 0xFFFF)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.binary(max_size=20))))
def test_messages_come_as_they_were_put(messages: list[tuple[int, int, int, int, bytes]]) -> None:
    packet = b""
    for kind, flags, number, port, data in messages:
        whole = HEADER.pack(HEADER.size + len(data), kind, flags, number, port) + data
        packet += whole + bytes(-len(whole) % 4)
    assert [(one.kind, one.flags, one.number, one.port, one.data) for one in split(packet)] == messages


@given(st.binary(max_size=200))
def test_any_bytes_come_to_an_end(packet: bytes) -> None:
    assert all(len(one.whole) >= HEADER.size for one in split(packet))
