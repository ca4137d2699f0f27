"""What goes when all logs together are too large: the oldest, never the newest of a container, no holes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import trio
import trio.testing
from helpers.logs import Piece, span, write_log
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.logs.budget import Budget
from pysup.supervisor.logs.reader import LogReader, Query
from pysup.supervisor.logs.retention import Stored, Usage, choose, remove, retire, size, stored, usage
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
    write_log(loud, [Piece(1, b"x" * 100)] * 5, max_size=164)
    writer = LogWriter.open(str(loud), max_size=164, max_files=3)
    before = usage(str(loud))
    assert before == Usage(5 * 164, 5)
    found = [one for path in (quiet, loud, tmp_path / "missing") for one in stored(str(path))]
    assert remove(choose(found, 500)) == 3 * 164
    assert usage(str(loud)) == Usage(2 * 164, 2)
    assert usage(str(quiet)).segments == 1
    for _ in range(3):
        writer.write(1, b"y" * 100)
    writer.close()
    assert span(str(loud)) == (500, 800)
    assert b"".join(entry.data for entry in LogReader(str(loud)).select(Query())) == b"y" * 300


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40), st.integers(4096, 9000), st.integers(1, 3))
def test_a_log_never_takes_more_than_its_files_may(writes: list[int], max_size: int, max_files: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        writer = LogWriter.open(directory, max_size=max_size, max_files=max_files)
        for count in writes:
            writer.write(1 + count % 2, b"x" * count * 20)
            found = stored(directory)
            assert len(found) <= max_files
            assert all(segment.size <= max_size for segment in found)
        assert writer.offset == 20 * sum(writes)
        writer.close()


def test_the_newest_segments_go_where_even_they_are_too_much(tmp_path: Path) -> None:
    """The oldest first, of a log that rests and of one that is written; both go on where they were."""
    resting, written = str(tmp_path / "resting"), str(tmp_path / "written")
    budget = Budget(1000)
    writer = LogWriter.open(written, budget=budget)
    writer.write(1, b"w" * 300)
    write_log(Path(resting), [Piece(1, b"r" * 500)])
    found = stored(resting) + stored(written)
    assert choose(found, budget.goal) == []
    assert [one.directory for one in retire(found, 500, budget)] == [written, resting]
    assert remove(found) == size(found)
    writer.write(1, b"more")
    writer.close()
    again = LogWriter.open(resting)
    again.write(1, b"again")
    again.close()
    assert (span(written), span(resting)) == ((300, 304), (500, 505))
    assert retire(stored(tmp_path.as_posix()), 1, budget) == []


async def is_alarmed(budget: Budget) -> bool:
    told = []

    async def listen() -> None:
        await budget.wait_alarm()
        told.append(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return bool(told)


async def test_an_alarm_comes_before_the_total_is_reached(tmp_path: Path) -> None:
    budget = Budget(16000)
    budget.measured(14000)
    writer = LogWriter.open(str(tmp_path / "log"), budget=budget)
    alarms = []
    for _ in range(3):
        writer.write(1, b"x" * 500)
        alarms.append(await is_alarmed(budget))
    assert alarms == [False, True, True]
    budget.measured(16000)
    writer.write(1, b"x" * 500)
    assert not await is_alarmed(budget), "nothing could be freed: look again when as much again was written"
    writer.close()


def test_what_somebody_has_put_in_the_place_of_a_log_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "00000001.log").write_text("not ours")
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "file").touch()
    assert [stored(str(tmp_path / name)) for name in ("link", "file", "none")] == [[], [], []]
    assert remove([Stored(str(tmp_path / "link"), 1, 8, 1)]) == 0
    assert (tmp_path / "elsewhere" / "00000001.log").exists()
