"""A log that a crash left in any state is opened, keeps every byte, and goes on."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from helpers.logs import Clock, Piece, bytes_of, span, write_log
from hypothesis import given, settings
from hypothesis import strategies as st

from pysup.supervisor.logs.lines import Entry
from pysup.supervisor.logs.reader import LogReader, Query
from pysup.supervisor.logs.records import SIZE, STDERR, STDOUT, Record
from pysup.supervisor.logs.writer import LogWriter

PIECES = [
    Piece(1, b"one\n"),
    Piece(2, b"two\n"),
    Piece(1, b"three "),
    Piece(2, b"four\n"),
    Piece(1, b"five\n"),
]
TEXT = b"".join(piece.data for piece in PIECES)


def select(directory: Path, query: Query | None = None) -> list[Entry]:
    return list(LogReader(str(directory)).select(query or Query()))


def reopen(directory: Path, data: bytes = b"more\n") -> LogWriter:
    writer = LogWriter.open(str(directory), clock=Clock(9000))
    writer.write(1, data)
    writer.close()
    return writer


@pytest.fixture
def log(tmp_path: Path) -> Path:
    write_log(tmp_path / "logs", PIECES)
    return tmp_path / "logs"


@pytest.mark.parametrize("size", range(SIZE * (1 + len(PIECES)) + 1))
def test_an_index_torn_at_any_byte_loses_no_byte_of_the_log(log: Path, size: int) -> None:
    os.truncate(log / "00000001.idx", size)
    writer = reopen(log, b"\nmore\n")
    assert (log / "00000001.log").read_bytes() == TEXT + b"\nmore\n"
    assert writer.offset == len(TEXT) + 6
    found = bytes_of(select(log))
    assert sum(map(len, found.values())) == writer.offset
    assert select(log, Query(since=9000))[-1] == Entry(9000, 1, b"more\n") or size < 2 * SIZE
    kept = max(0, size // SIZE - 1)
    certain = b"".join(piece.data for piece in PIECES[:kept] if piece.stream == STDERR)
    assert found.get(STDERR, b"").startswith(certain)


@pytest.mark.parametrize("size", range(len(TEXT) + 1))
def test_a_log_shorter_than_its_index_goes_on_at_its_end(log: Path, size: int) -> None:
    """A power cut may keep the records and lose the bytes."""
    os.truncate(log / "00000001.log", size)
    assert sum(map(len, bytes_of(select(log)).values())) == size
    reopen(log)
    found = bytes_of(select(log))
    assert sum(map(len, found.values())) == size + 5
    assert found[STDOUT].endswith(b"more\n")


@pytest.mark.parametrize("number", range(1, len(PIECES) + 1))
def test_a_zeroed_record_is_no_record(log: Path, number: int) -> None:
    """Its bytes belong to the record before it; the last one is cut off."""
    with (log / "00000001.idx").open("r+b") as index:
        index.seek(number * SIZE)
        index.write(bytes(SIZE))
    reopen(log)
    kept = len(TEXT) + 5 - (len(PIECES[0].data) if number == 1 else 0)
    assert sum(map(len, bytes_of(select(log)).values())) >= kept


def test_a_lost_index_makes_the_segment_one_chunk_of_stdout(log: Path) -> None:
    (log / "00000001.idx").unlink()
    assert bytes_of(select(log)) == {1: TEXT}
    reopen(log)
    assert bytes_of(select(log)) == {1: TEXT + b"more\n"}


def test_a_lost_index_of_an_older_segment_costs_only_its_streams(tmp_path: Path) -> None:
    write_log(tmp_path, [Piece(2, b"x" * 99 + b"\n")] * 4, max_size=164)
    (tmp_path / "00000002.idx").unlink()
    entries = select(tmp_path)
    assert [entry.stream for entry in entries] == [2, 1, 2, 2]
    assert sum(len(entry.data) for entry in entries) == 400
    assert span(str(tmp_path)) == (0, 400)


def test_a_segment_whose_header_is_lost_begins_where_the_one_before_ends(tmp_path: Path) -> None:
    write_log(tmp_path, [Piece(2, b"x" * 99 + b"\n")] * 3, max_size=164)
    os.truncate(tmp_path / "00000003.idx", 10)
    assert reopen(tmp_path).offset == 305
    assert span(str(tmp_path)) == (0, 305)


def test_an_index_that_never_got_its_log_is_removed(log: Path) -> None:
    shutil.copy(log / "00000001.idx", log / "00000002.idx")
    reopen(log)
    assert not (log / "00000002.idx").exists()


def test_an_empty_chunk_leaves_no_trace(log: Path) -> None:
    """A crash between record and chunk: the next record takes its place."""
    before = (log / "00000001.idx").stat().st_size
    reader, writer_end = os.pipe()
    os.close(writer_end)
    writer = LogWriter.open(str(log))
    assert [writer.splice(reader, stream) for stream in (2, 1, 2)] == [0, 0, 0]
    writer.close()
    os.close(reader)
    assert (log / "00000001.idx").stat().st_size == before + SIZE
    reopen(log)
    assert (log / "00000001.idx").stat().st_size == before + SIZE
    assert bytes_of(select(log))[STDOUT].endswith(b"more\n")


def test_times_go_on_from_the_last_record(log: Path) -> None:
    writer = LogWriter.open(str(log), clock=lambda: 7)
    writer.write(1, b"later\n")
    writer.close()
    assert select(log)[-1].time_ns == 1005


@pytest.mark.parametrize("name", ["00000001.log", "00000001.idx"])
def test_a_link_in_place_of_a_file_is_not_followed(log: Path, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (log / name).unlink()
    (log / name).symlink_to(victim)
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        LogWriter.open(str(log))
    assert victim.read_bytes() == b"precious"


def test_what_cannot_be_opened_now_is_gone_on_with_when_it_can(log: Path, tmp_path: Path) -> None:
    """The same place in the log, and no time before the last one's."""
    log.rename(tmp_path / "away")
    log.symlink_to(tmp_path / "away")
    before = bytes_of(select(tmp_path / "away"))[STDOUT]
    writer = LogWriter.open(str(log), clock=lambda: 7, patient=True)
    with pytest.raises(OSError, match=os.strerror(errno.ENOTDIR)):
        writer.write(1, b"too early\n")
    assert not writer.has_begun
    log.unlink()
    (tmp_path / "away").rename(log)
    writer.write(1, b"later\n")
    writer.close()
    assert bytes_of(select(log))[STDOUT] == before + b"later\n"
    assert select(log)[-1].time_ns == 1005


@pytest.mark.parametrize("left", [(), ("00000001.idx",)])
def test_what_was_left_before_the_first_file_was_made_is_a_log_that_has_not_begun(
    tmp_path: Path, left: tuple[str, ...]
) -> None:
    for name in left:
        (tmp_path / name).touch()
    writer = LogWriter.open(str(tmp_path))
    assert not writer.has_begun
    writer.write(1, b"first\n")
    writer.close()
    assert bytes_of(select(tmp_path))[STDOUT] == b"first\n"


def test_a_fifo_in_place_of_a_file_is_refused_without_waiting(log: Path) -> None:
    (log / "00000001.log").unlink()
    os.mkfifo(log / "00000001.log")
    with pytest.raises(OSError, match="not a regular file"):
        select(log)


def changed(index: bytes, cuts: list[tuple[int, bytes]]) -> bytes:
    """The index with pieces of it overwritten."""
    found = bytearray(index)
    for place, piece in cuts:
        at = place % (len(found) + 1)
        found[at : at + len(piece)] = piece
    return bytes(found)


SCRAPS = (
    st.binary(max_size=40) | st.binary(max_size=8).map(lambda piece: piece + b"\xff" * 8) | st.just(bytes(64))
)
RECORDS = st.builds(
    Record,
    *[st.integers(0, (1 << 64) - 1) | st.integers(0, 99)] * 3,
    *[st.integers(0, 9) | st.integers(0, (1 << 16) - 1)] * 2,
).map(lambda record: record.pack()[:-1] + b"?")
"""Whole, of any content; the checksum does not fit, but a reader of thousands looks at none."""


@given(
    st.lists(st.tuples(st.integers(0, 300), SCRAPS | RECORDS), max_size=4) | st.binary(max_size=300),
    st.builds(
        Query,
        since=st.none() | st.integers(0, 1 << 63),
        until=st.none() | st.integers(0, 1 << 63),
        tail=st.none() | st.integers(0, 9),
    ),
)
@settings(max_examples=200, deadline=None)
def test_any_index_is_read_and_mended(cuts: list[tuple[int, bytes]] | bytes, query: Query) -> None:
    """Whatever a disk gives back: reading ends, invents no bytes, and writing goes on behind what is there.

    What a damaged record began may be taken for another stream's, or for none: the log file itself has it.
    """
    with tempfile.TemporaryDirectory() as place:
        log = Path(place, "logs")
        write_log(log, PIECES)
        index = log / "00000001.idx"
        index.write_bytes(cuts if isinstance(cuts, bytes) else changed(index.read_bytes(), cuts))
        for entry in select(log, query):
            assert len(entry.data) <= len(TEXT) + 100
        span(str(log))
        reopen(log, b"\nmore\n")
        assert (log / "00000001.log").read_bytes() == TEXT + b"\nmore\n"
        assert sum(len(entry.data) for entry in select(log)) <= len(TEXT) + 6
