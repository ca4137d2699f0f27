"""The document that hands everything over, the queue to the engine, and the delays of its restarts."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.keeper import codec, handover, table
from pysup.supervisor.keeper.engine import LONG_LIFE, LONGEST_DELAY, next_delay
from pysup.supervisor.keeper.outbox import Outbox
from pysup.supervisor.keeper.protocol import Hold
from pysup.supervisor.keeper.table import Handover, Table
from pysup.supervisor.settings import Settings

entries = st.fixed_dictionaries(
    {
        "pid": st.integers(0, 2**22),
        "pidfd": st.integers(-1, 2**20),
        "status": st.none() | st.integers(0, 0xFFFF),
        "fds": st.dictionaries(st.text(max_size=20), st.integers(3, 2**20), max_size=5),
    }
)


@given(st.dictionaries(st.text(min_size=1, max_size=40), entries, max_size=8), st.integers(0, 64))
def test_handover_round_trip(described: dict[str, dict[str, object]], stop_signal: int) -> None:
    kept = Table()
    for key, values in described.items():
        for name, value in values.items():
            setattr(kept.entry(key), name, value)
    handover = Handover(Settings(root="/r"), ["engine"], 5, 6, kept, stop_signal)
    again = table.from_json(table.to_json(handover))
    assert again._replace(table=kept) == handover
    assert {
        entry.key: {name: getattr(entry, name) for name in described[entry.key]} for entry in again.table
    } == described


def test_entries_own_their_descriptors() -> None:
    kept = Table()
    reader, writer = os.pipe()
    entry = kept.entry("k")
    entry.hold({"a": reader})
    entry.hold({"a": os.dup(writer)})
    assert os.path.exists(f"/proc/self/fd/{writer}")
    assert not os.path.exists(f"/proc/self/fd/{reader}"), "what is replaced is closed"
    held = entry.fds["a"]
    kept.forget("k")
    assert not os.path.exists(f"/proc/self/fd/{held}")
    assert kept.get("k") is None
    os.close(writer)


def test_a_program_that_cannot_be_executed_leaves_nothing_to_be_inherited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The keeper goes on, and what it starts then must not keep the ends of containers' pipes open."""
    monkeypatch.setattr(handover, "PROGRAM", ["/no/such/program"])
    kept = Table()
    reader, writer = os.pipe()
    kept.entry("run/x/1").hold({"stdout": reader})
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        handover.become_keeper(Handover(Settings(root="/r"), ["engine"], writer, os.dup(writer), kept))
    assert [os.get_inheritable(fd) for fd in (reader, writer)] == [False, False]
    assert len(os.listdir("/proc/self/fd")) == before + 1  # the second copy of the writer
    kept.forget("run/x/1")
    os.close(writer)


def test_outbox_keeps_order_and_descriptors() -> None:
    """What does not fit waits, with duplicates: the originals may be closed meanwhile."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        outbox = Outbox(ours)
        for number in range(2000):
            fd = os.open("/dev/null", os.O_RDONLY)
            outbox.put(Hold(str(number), ["null"]), [fd])
            os.close(fd)
        assert outbox
        for number in range(2000):
            received = codec.receive(theirs)
            assert received is not None
            message, fds = received
            assert message == Hold(str(number), ["null"])
            codec.close_all(fds)
            outbox.flush()
        assert not outbox


def test_outbox_of_a_dead_engine() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    with ours:
        outbox = Outbox(ours)
        outbox.put(Hold("k", []))
        assert not outbox


@given(st.floats(0, LONGEST_DELAY), st.floats(0, 100))
def test_delay_of_the_next_engine(previous: float, lived: float) -> None:
    delay = next_delay(previous, lived)
    assert 0 <= delay <= LONGEST_DELAY
    assert (delay == 0) == (lived >= LONG_LIFE)


def test_delays_double() -> None:
    delays = [0.0]
    for _ in range(8):
        delays.append(next_delay(delays[-1], 0.0))
    assert delays == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
