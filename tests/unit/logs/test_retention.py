"""What goes when all logs together are too large: the oldest, never the newest of a container, no holes."""

from __future__ import annotations

from pathlib import Path

from helpers.logs import Piece, write_log
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.logs.reader import LogReader, Query, span
from pysup.supervisor.logs.retention import Stored, Usage, choose, trim, usage
from pysup.supervisor.logs.writer import LogWriter

segments = st.lists(
    st.builds(
        Stored,
        directory=st.sampled_from(["a", "b", "c"]),
        number=st.integers(1, 9),
        size=st.integers(0, 100),
        written=st.integers(0, 50),
    ),
    unique_by=lambda segment: segment[:2],
)


@given(segments, st.integers(0, 500))
def test_the_cap_is_kept_by_removing_no_more_than_needed(found: list[Stored], cap: int) -> None:
    chosen = [segment[:2] for segment in choose(found, cap)]
    kept = [segment for segment in found if segment[:2] not in chosen]
    newest = {
        segment.directory: max(s.number for s in found if s.directory == segment.directory)
        for segment in found
    }
    assert all((directory, number) not in chosen for directory, number in newest.items())
    if sum(segment.size for segment in kept) > cap:
        assert len(kept) == len(newest)
    if chosen:
        last = next(segment for segment in found if segment[:2] == chosen[-1])
        assert sum(segment.size for segment in kept) + last.size > cap
    for segment in kept:
        assert all(number < segment.number for directory, number in chosen if directory == segment.directory)


def test_trimming_leaves_a_log_that_writer_and_reader_go_on_with(tmp_path: Path) -> None:
    quiet, loud = tmp_path / "quiet", tmp_path / "loud"
    write_log(quiet, [Piece(1, b"x" * 100)])
    write_log(loud, [Piece(1, b"x" * 100)] * 5, max_size=100)
    writer = LogWriter.open(str(loud), max_size=100, max_files=3)
    before = usage(str(loud))
    assert before == Usage(5 * 164, 5)
    assert trim([str(quiet), str(loud), str(tmp_path / "missing")], 500) == 3 * 164
    assert usage(str(loud)) == Usage(2 * 164, 2)
    assert usage(str(quiet)).segments == 1
    for _ in range(3):
        writer.write(1, b"y" * 100)
    writer.close()
    assert span(str(loud)) == (500, 800)
    assert b"".join(entry.data for entry in LogReader(str(loud)).select(Query())) == b"y" * 300
