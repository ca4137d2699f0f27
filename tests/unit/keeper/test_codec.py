"""The keeper's protocol: what is sent comes out, and whatever else comes in is a ProtocolError and leaks nothing."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.keeper import codec, protocol
from pysup.supervisor.keeper.protocol import (
    MAX_FDS,
    MAX_MESSAGE,
    TYPES,
    Held,
    Hold,
    ProtocolError,
    Reap,
    Spawn,
)

keys = st.text(min_size=1, max_size=protocol.MAX_KEY)
numbers = st.integers(-(2**63) + 1, 2**63 - 1)
names = st.lists(st.text(min_size=1, max_size=20), max_size=30, unique=True)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "_key": keys,
    "_text": st.text(max_size=500),
    "_number": numbers,
    "_number_or_none": st.none() | numbers,
    "_names": names,
    "_flag": st.booleans(),
}
messages = st.sampled_from(sorted(TYPES)).flatmap(
    lambda name: st.builds(TYPES[name], *(FIELDS[check.__name__] for check in codec.SHAPES[TYPES[name]]))
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ends
    for end in ends:
        end.close()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_every_field_has_a_check() -> None:
    for kind in TYPES.values():
        assert len(codec.SHAPES[kind]) == len(kind._fields), kind


@given(messages)
def test_round_trip(message: protocol.Message) -> None:
    assert codec.decode(codec.encode(message)) == message


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_a_protocol_error(packet: bytes) -> None:
    with pytest.raises(ProtocolError):
        codec.decode(packet)


@given(st.sampled_from(sorted(TYPES)), st.lists(json_values, max_size=9))
def test_wrong_fields(name: str, fields: list[object]) -> None:
    """Any fields of a known message: either all of them are right, or it is a ProtocolError."""
    try:
        message = codec.decode(json.dumps([name, *fields]).encode())
    except ProtocolError:
        return
    assert [type(message).__name__, *message] == [name, *fields]


@pytest.mark.parametrize(
    "message",
    [
        Reap("x" * MAX_MESSAGE),
        Reap(""),
        Reap(7),  # type: ignore[arg-type]
        Hold("k", ["a", "a"]),
        Hold("k", [str(n) for n in range(MAX_FDS + 1)]),
        Held("k", 1, None, [str(n) for n in range(MAX_FDS)]),
        Spawn("k", 2**70, [], []),
        Spawn("k", True, [], []),
        Spawn("k", 0, [], [], "x" * MAX_MESSAGE),
        Spawn("k", 0, [str(n) for n in range(40)], [str(n) for n in range(40)]),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_breaks_a_rule_is_not_sent(message: protocol.Message) -> None:
    with pytest.raises(ProtocolError):
        codec.encode(message)


def test_deep_nesting() -> None:
    with pytest.raises(ProtocolError):
        codec.decode(b"[" * 60000)


def test_descriptors_travel(pair: tuple[socket.socket, socket.socket]) -> None:
    with open("/dev/null", "rb") as file:
        codec.send(pair[0], Hold("k", ["null"]), [file.fileno()])
    received = codec.receive(pair[1])
    assert received is not None
    message, (fd,) = received
    assert message == Hold("k", ["null"])
    assert not os.get_inheritable(fd)
    assert os.fstat(fd).st_rdev == os.makedev(1, 3)
    os.close(fd)


def test_end_of_stream(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(BlockingIOError):
        codec.receive(pair[1])
    pair[0].close()
    assert codec.receive(pair[1]) is None


def test_wrong_count_is_not_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(ProtocolError):
        codec.send(pair[0], Hold("k", ["a"]), [])


@pytest.mark.parametrize(
    ("packet", "count"),
    [
        (codec.encode(Hold("k", ["a", "b"])), 1),
        (codec.encode(Hold("k", ["a"])), 2),
        (codec.encode(Reap("k")), 1),
        (b"nonsense", 3),
        (codec.encode(Reap("k")), MAX_FDS + 10),
        (b"[" + b" " * (MAX_MESSAGE + 100) + b"]", 2),
    ],
)
def test_descriptors_of_a_bad_packet_are_closed(
    pair: tuple[socket.socket, socket.socket], packet: bytes, count: int
) -> None:
    before = open_descriptors()
    rights = struct.pack(f"{count}i", *[0] * count)
    pair[0].sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    with pytest.raises(ProtocolError):
        codec.receive(pair[1])
    assert open_descriptors() == before


def test_a_full_socket_would_block(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(BlockingIOError):
        fill(pair[0])


def fill(sock: socket.socket) -> None:
    while True:
        codec.send(sock, Reap("k"))


def test_the_last_words_of_who_left_without_having_read_all_are_heard(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """The kernel tells of what was not read first, once (unix(7) says nothing of it)."""
    ours, theirs = pair
    codec.send(theirs, protocol.Shutdown(3))
    codec.send(theirs, Reap("run/x/1"))
    codec.send(ours, protocol.List())
    theirs.close()
    heard = [codec.receive(ours), codec.receive(ours), codec.receive(ours)]
    assert heard == [(protocol.Shutdown(3), []), (Reap("run/x/1"), []), None]
