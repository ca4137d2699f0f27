"""Whatever is written in whatever chunks: the bytes are the same, and queries agree with a plain model."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from helpers.logs import Piece, bytes_of, lines_of, span, write_log
from hypothesis import given, settings
from hypothesis import strategies as st

from pysup.supervisor.logs import cursor, segment, tail, writer
from pysup.supervisor.logs.lines import Entry
from pysup.supervisor.logs.reader import LogReader, Query
from pysup.supervisor.logs.records import GAP, Record
from pysup.supervisor.logs.writer import LogWriter

BOTH = frozenset({1, 2})
contents = st.lists(st.sampled_from([b"\n", b"a", b"bc", b"\r", b"\0\xff"]), min_size=1, max_size=8).map(
    b"".join
)
pieces_of_log = st.lists(
    st.builds(Piece, stream=st.sampled_from([1, 2]), data=contents, after=st.integers(1, 3)), max_size=30
)
some_streams = st.sampled_from([BOTH, frozenset({1}), frozenset({2})])
times = st.none() | st.integers(998, 1100)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few bytes, so that a small log crosses all their borders."""
    monkeypatch.setattr(cursor, "FEW", 1)
    monkeypatch.setattr(cursor, "MANY", 3)
    monkeypatch.setattr(tail, "BLOCK", 3)
    monkeypatch.setattr(tail, "_READ", 4)
    monkeypatch.setattr(cursor, "BLOCK", 5)
    monkeypatch.setattr(writer, "LEAST_ROOM", 16)


def read(pieces: list[Piece], query: Query, *, max_size: int = 200) -> list[Entry]:
    with tempfile.TemporaryDirectory() as directory:
        write_log(Path(directory), pieces, max_size=max_size)
        return list(LogReader(directory).select(query))


@settings(deadline=None, max_examples=200)
@given(pieces_of_log, some_streams, times, times, st.none() | st.integers(0, 8))
def test_queries_agree_with_the_plain_model(
    pieces: list[Piece], streams: frozenset[int], since: int | None, until: int | None, last: int | None
) -> None:
    expected = [
        line
        for line in lines_of(pieces, streams)
        if (since is None or line.time_ns >= since) and (until is None or line.time_ns <= until)
    ]
    if last is not None:
        expected = expected[len(expected) - min(last, len(expected)) :]
    query = Query(since=since, until=until, tail=last, streams=streams)
    assert read(pieces, query) == expected
    chunks = read(pieces, Query(since=since, until=until, tail=last, streams=streams, lines=False))
    assert bytes_of(chunks) == bytes_of(expected)


@settings(deadline=None)
@given(pieces_of_log, st.sampled_from([100, 200, 1 << 20]))
def test_the_files_are_the_bytes_as_written(pieces: list[Piece], max_size: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        write_log(Path(directory), pieces, max_size=max_size)
        files = sorted(Path(directory).glob("*.log"))
        assert b"".join(file.read_bytes() for file in files) == b"".join(piece.data for piece in pieces)
        assert span(directory) == (0, sum(len(piece.data) for piece in pieces))


@settings(deadline=None)
@given(pieces_of_log, st.integers(1, 9))
def test_long_lines_come_in_parts_that_join_again(pieces: list[Piece], size: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        write_log(Path(directory), pieces)
        entries = list(LogReader(directory, max_line=size).select(Query()))
    assert all(len(entry.data) <= size for entry in entries)
    joined, parts = [], {1: b"", 2: b""}
    for entry in entries:
        parts[entry.stream] += entry.data
        if not entry.partial:
            joined.append(Entry(entry.time_ns, entry.stream, parts[entry.stream]))
            parts[entry.stream] = b""
    assert joined == lines_of(pieces)


def test_a_progress_bar_is_shown_from_since_on_although_its_line_began_before(tmp_path: Path) -> None:
    write_log(tmp_path, [Piece(1, b"\r12345678"), Piece(1, b"\r50%"), Piece(1, b"\r99%")])
    reader = LogReader(str(tmp_path), max_line=4)
    assert b"".join(entry.data for entry in reader.select(Query(since=1002))) == b"\r99%"


def test_no_directory_is_an_empty_log(tmp_path: Path) -> None:
    missing = str(tmp_path / "logs")
    assert list(LogReader(missing).select(Query(tail=5))) == []
    assert span(missing) == (0, 0)


def test_bytes_dropped_by_rotation_are_told_by_the_span(tmp_path: Path) -> None:
    write_log(tmp_path, [Piece(1, b"x" * 99 + b"\n")] * 10, max_size=164, max_files=3)
    assert span(str(tmp_path)) == (700, 1000)
    assert len(list(LogReader(str(tmp_path)).select(Query()))) == 3


def cut_log(tmp_path: Path, *pieces: Piece) -> LogReader:
    """A log whose first segment, which ends within a line of each stream, was rotated away."""
    write_log(tmp_path, [Piece(1, b"one\ntwo"), Piece(2, b"err")])
    writer = LogWriter.open(str(tmp_path), clock=lambda: 2000)
    assert writer.retire(1)
    for stream, data, _ in pieces:
        writer.write(stream, data)
    writer.close()
    for kind in ("log", "idx"):
        (tmp_path / f"00000001.{kind}").unlink()
    return LogReader(str(tmp_path))


@pytest.mark.parametrize("query", [Query(), Query(lines=False), Query(since=1), Query(tail=9)])
def test_a_log_begins_with_a_line_where_rotation_has_cut_one(tmp_path: Path, query: Query) -> None:
    reader = cut_log(tmp_path, Piece(1, b"rest\nthree\n"), Piece(2, b"more\nnew\n"), Piece(1, b"four\n"))
    assert bytes_of(reader.select(query)) == {1: b"three\nfour\n", 2: b"new\n"}


@pytest.mark.parametrize("query", [Query(), Query(lines=False), Query(since=1), Query(tail=9)])
def test_a_line_without_an_end_is_shown_as_far_as_there_is_any_of_it(tmp_path: Path, query: Query) -> None:
    reader = cut_log(tmp_path, Piece(1, b"\r50%"), Piece(2, b"more\nnew\n"), Piece(1, b"\r99%"))
    assert bytes_of(reader.select(query)) == {1: b"\r50%\r99%", 2: b"new\n"}


def test_a_segment_rotated_away_while_it_is_read_is_a_gap_with_its_count(tmp_path: Path) -> None:
    writer = LogWriter.open(str(tmp_path), max_size=164, max_files=2, clock=lambda: 5)
    line = b"x" * 99 + b"\n"
    writer.write(1, line * 2)
    entries = LogReader(str(tmp_path)).select(Query())
    assert next(entries).data == line
    writer.write(1, line * 8)
    assert list(entries) == [Entry(5, GAP, b"", lost=700)]
    writer.close()


def test_a_gap_record_ends_the_line_before_it(tmp_path: Path) -> None:
    writer = LogWriter.open(str(tmp_path), clock=lambda: 5)
    writer.write(1, b"begin")
    writer.gap(1000)
    writer.write(1, b"end\n")
    writer.close()
    found = list(LogReader(str(tmp_path)).select(Query()))
    assert found == [Entry(5, 1, b"begin"), Entry(5, GAP, b"", lost=1000), Entry(5, 1, b"end\n")]
    last = list(LogReader(str(tmp_path)).select(Query(tail=1)))
    assert last == [Entry(5, 1, b"end\n")]
    assert [entry.data for entry in LogReader(str(tmp_path)).select(Query(tail=2))] == [
        b"begin",
        b"",
        b"end\n",
    ]


def test_the_clock_going_back_does_not_unsort_the_times(tmp_path: Path) -> None:
    write_log(
        tmp_path, [Piece(1, b"a\n", 50), Piece(1, b"b\n", -40), Piece(1, b"c\n", 20), Piece(1, b"d\n", 90)]
    )
    entries = LogReader(str(tmp_path)).select(Query())
    assert [entry.time_ns for entry in entries] == [1050, 1050, 1050, 1120]


def test_since_reads_neither_the_bytes_nor_the_records_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(tmp_path, [Piece(1, b"line\n")] * 4000)
    records, data = [], []
    real_records, real_read = segment.Segment.records, segment.Segment.read

    def count_records(self: segment.Segment, first: int, count: int) -> list[Record]:
        records.append(count)
        return real_records(self, first, count)

    def count_read(self: segment.Segment, start: int, end: int) -> bytes:
        data.append(end - start)
        return real_read(self, start, end)

    monkeypatch.setattr(segment.Segment, "records", count_records)
    monkeypatch.setattr(segment.Segment, "read", count_read)
    assert len(list(LogReader(str(tmp_path)).select(Query(since=5000)))) == 1
    assert sum(records) < 60
    assert sum(data) < 20
