"""A log that is read in two goes, broken off anywhere, is the log that is read in one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from helpers.logs import Clock
from hypothesis import given, settings
from hypothesis import strategies as st

from pysup.supervisor.logs.lines import Entry, Mark
from pysup.supervisor.logs.reader import LogReader, Query, end_at
from pysup.supervisor.logs.writer import LogWriter

WORDS = st.sampled_from([b"a", b"bc\n", b"\n", b"d\ne", b"one\ntwo\n", b"longer than the longest line\n"])


def shown(entries: list[Entry]) -> list[tuple[int, bytes]]:
    return [(entry.stream, entry.data) for entry in entries]


def joined(entries: list[Entry]) -> dict[int, bytes]:
    return {stream: b"".join(e.data for e in entries if e.stream == stream) for stream in (1, 2)}


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), WORDS), max_size=10),
    st.lists(st.tuples(st.sampled_from([1, 2]), WORDS), max_size=4),
    st.builds(
        Query,
        tail=st.sampled_from([None, 0, 1, 3]),
        lines=st.booleans(),
        streams=st.sampled_from([frozenset({1, 2}), frozenset({1})]),
        marks=st.just(True),
    ),
    st.integers(0, 12),
)
@settings(max_examples=100, deadline=None)
def test_reading_is_taken_up_behind_any_entry(
    before: list[tuple[int, bytes]], later: list[tuple[int, bytes]], query: Query, cut: int
) -> None:
    with TemporaryDirectory() as directory:
        writer = LogWriter.open(directory, clock=Clock())
        reader = LogReader(directory, max_line=8)
        for stream, data in before:
            writer.write(stream, data)
        first = list(reader.select(query))
        assert shown(first) == shown(list(reader.select(replace(query, marks=False))))
        taken = first[:cut]
        if not taken or any(entry.mark is None for entry in taken):
            writer.close()
            return
        rest = list(reader.select(replace(query, resume=taken[-1].mark)))
        assert joined(taken + rest) == joined(first)
        for stream, data in later:
            writer.write(stream, data)
        again = list(reader.select(replace(query, resume=taken[-1].mark)))
        assert joined(again)[1].startswith(joined(rest)[1])
        writer.close()


def test_the_mark_of_a_whole_log_is_its_end(tmp_path: Path) -> None:
    writer = LogWriter.open(str(tmp_path), clock=Clock())
    writer.write(1, b"one\ntwo\n")
    entries = list(LogReader(str(tmp_path)).select(Query(marks=True)))
    assert [entry.mark for entry in entries] == [Mark(0, 1), Mark(8)]
    writer.close()


def test_where_the_log_ended_at_a_time(tmp_path: Path) -> None:
    clock = Clock()
    writer = LogWriter.open(str(tmp_path), clock=clock)
    writer.write(1, b"first")
    time = next(iter(LogReader(str(tmp_path)).select(Query()))).time_ns
    writer.close()
    assert end_at(str(tmp_path), time) == 5
    assert end_at(str(tmp_path), time - 1) == 0
    assert end_at(str(tmp_path / "none"), time) == 0
