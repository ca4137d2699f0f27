"""Followers: the files first, then what comes, across rotation, until the feed is closed."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
import trio
import trio.testing
from helpers.logs import Clock, Piece, write_log

from pysup.supervisor.logs import reader
from pysup.supervisor.logs.cursor import Chunk
from pysup.supervisor.logs.follow import follow, raw_from
from pysup.supervisor.logs.lines import Entry
from pysup.supervisor.logs.reader import Query, find_range
from pysup.supervisor.logs.records import GAP
from pysup.supervisor.logs.writer import LogWriter

LINE = b"x" * 4095 + b"\n"
"""As large as the smallest segment, so that each is one."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def writer(tmp_path: Path, clock: Clock) -> Iterator[LogWriter]:
    opened = LogWriter.open(str(tmp_path), max_size=4160, max_files=3, clock=clock)
    opened.begin()
    yield opened
    opened.close()


async def collect(lots: AsyncIterator[list[Entry]], into: list[Entry]) -> None:
    async for entries in lots:
        into.extend(entries)


async def test_a_follower_sees_lines_as_they_are_completed(tmp_path: Path, writer: LogWriter) -> None:
    found: list[Entry] = []
    writer.write(1, b"one\ntw")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect, follow(str(tmp_path), writer.feed, Query(follow=True)), found)
        await trio.testing.wait_all_tasks_blocked()
        assert [entry.data for entry in found] == [b"one\n"]
        writer.write(2, b"err\n")
        writer.write(1, b"o\nlast")
        await trio.testing.wait_all_tasks_blocked()
        assert [entry.data for entry in found] == [b"one\n", b"err\n", b"two\n"]
        writer.close()
    assert [entry.data for entry in found] == [b"one\n", b"err\n", b"two\n", b"last"]


async def test_a_prompt_without_a_newline_is_followed_at_once(tmp_path: Path, writer: LogWriter) -> None:
    found: list[Entry] = []
    writer.write(1, b"a\nb\nlogin: ")
    query = Query(follow=True, lines=False, tail=2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect, follow(str(tmp_path), writer.feed, query), found)
        while len(found) < 2:
            await trio.lowlevel.checkpoint()
        assert [entry.data for entry in found] == [b"b\n", b"login: "]
        await trio.testing.wait_all_tasks_blocked()
        writer.write(1, b"root")
        await trio.testing.wait_all_tasks_blocked()
        assert found[-1].data == b"root"
        writer.close()


async def test_looking_for_the_last_lines_keeps_nobody_waiting(
    tmp_path: Path, writer: LogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may take a look at all of a log."""
    found: list[Entry] = []
    go_on = threading.Event()

    def slow(directory: int, query: Query) -> reader.Range | None:
        assert go_on.wait(20)
        return find_range(directory, query)

    monkeypatch.setattr(reader, "find_range", slow)
    writer.write(1, LINE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect, follow(str(tmp_path), None, Query(tail=1)), found)
        await trio.testing.wait_all_tasks_blocked()
        go_on.set()
    assert [entry.data for entry in found] == [LINE]


@pytest.mark.parametrize("lines", [True, False])
async def test_following_goes_on_across_rotation(tmp_path: Path, writer: LogWriter, lines: bool) -> None:
    found: list[Entry] = []
    query = Query(follow=True, lines=lines, tail=0)
    writer.write(1, LINE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect, follow(str(tmp_path), writer.feed, query), found)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(10):
            writer.write(1, LINE)
            writer.write(2, b"%d\n" % number)
            await trio.testing.wait_all_tasks_blocked()
        writer.close()
    assert b"".join(e.data for e in found if e.stream == 1) == LINE * 10
    assert [e.data for e in found if e.stream == 2] == [b"%d\n" % number for number in range(10)]


async def test_a_follower_left_behind_by_rotation_gets_a_gap(tmp_path: Path, writer: LogWriter) -> None:
    writer.write(1, LINE)
    async with aclosing(follow(str(tmp_path), writer.feed, Query(follow=True))) as lots:
        assert [entry.data for entry in await anext(lots)] == [LINE]
        for _ in range(9):
            writer.write(1, LINE)
        gap, *lines = await anext(lots)
        assert gap == Entry(1000, GAP, b"", lost=6 * 4096)
        assert [line.data for line in lines] == [LINE] * 3


async def test_lines_that_are_there_come_in_bounded_lots(tmp_path: Path, clock: Clock) -> None:
    """Not one by one, and not so many that whoever else waits for the engine would notice."""
    lines = [b"%d\n" % number for number in range(600)] + [b"x" * 30_000 + b"\n"] * 3
    writer = LogWriter.open(str(tmp_path), max_size=1 << 20, max_files=1, clock=clock)
    writer.write(1, b"".join(lines))
    lots = [[entry.data for entry in lot] async for lot in follow(str(tmp_path), None, Query())]
    assert [line for lot in lots for line in lot] == lines
    assert [len(lot) for lot in lots] == [256, 256, 91]
    writer.close()


async def test_a_gap_recorded_at_the_end_is_delivered(tmp_path: Path, writer: LogWriter) -> None:
    found: list[Entry] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect, follow(str(tmp_path), writer.feed, Query(follow=True)), found)
        await trio.testing.wait_all_tasks_blocked()
        writer.gap(77)
        await trio.testing.wait_all_tasks_blocked()
        assert [entry.lost for entry in found] == [77]
        writer.close()


async def test_until_ends_following(tmp_path: Path, writer: LogWriter, clock: Clock) -> None:
    found: list[Entry] = []
    far = clock.now = 1 << 62
    writer.write(1, b"one\n")
    async with trio.open_nursery() as nursery:
        query = Query(follow=True, until=far + 5)
        nursery.start_soon(collect, follow(str(tmp_path), writer.feed, query), found)
        await trio.testing.wait_all_tasks_blocked()
        clock.now += 9
        writer.write(1, b"two\n")
    assert [entry.data for entry in found] == [b"one\n"]


async def test_until_in_the_past_does_not_wait(tmp_path: Path, writer: LogWriter) -> None:
    writer.write(1, b"one\n")
    query = Query(follow=True, until=2000)
    found: list[Entry] = []
    await collect(follow(str(tmp_path), writer.feed, query), found)
    assert [entry.data for entry in found] == [b"one\n"]


async def test_a_log_nobody_writes_ends_at_its_end(tmp_path: Path, writer: LogWriter) -> None:
    writer.write(1, b"one\n")
    found: list[Entry] = []
    await collect(follow(str(tmp_path), None, Query(follow=True)), found)
    await collect(follow(str(tmp_path / "none"), None, Query()), found)
    assert [entry.data for entry in found] == [b"one\n"]


async def collect_raw(chunks: AsyncIterator[tuple[Chunk, int]], into: list[tuple[int, bytes, int]]) -> None:
    async for chunk, offset in chunks:
        into.append((chunk.stream, chunk.data, offset))


async def test_raw_reading_begins_within_a_chunk_and_ends_where_the_run_does(
    tmp_path: Path, writer: LogWriter
) -> None:
    found: list[tuple[int, bytes, int]] = []
    end: list[int] = []
    writer.write(1, b"before")
    async with trio.open_nursery() as nursery:
        chunks = raw_from(str(tmp_path), writer.feed, 3, lambda: end[0] if end else None)
        nursery.start_soon(collect_raw, chunks, found)
        await trio.testing.wait_all_tasks_blocked()
        assert found == [(1, b"ore", 6)]
        writer.write(2, b"err")
        writer.write(1, b"out")
        end.append(writer.offset)
        writer.write(1, b"of the next run")
    assert found == [(1, b"ore", 6), (2, b"err", 9), (1, b"out", 12)]


async def test_raw_reading_wakes_up_when_poked_at_the_end_of_a_run(tmp_path: Path, writer: LogWriter) -> None:
    found: list[tuple[int, bytes, int]] = []
    end: list[int] = []
    async with trio.open_nursery() as nursery:
        chunks = raw_from(str(tmp_path), writer.feed, 0, lambda: end[0] if end else None)
        nursery.start_soon(collect_raw, chunks, found)
        await trio.testing.wait_all_tasks_blocked()
        end.append(writer.offset)
        writer.feed.poke()
    assert found == []


async def test_raw_reading_of_what_is_rotated_away_is_a_gap(tmp_path: Path, writer: LogWriter) -> None:
    for _ in range(5):
        writer.write(1, LINE)
    end = writer.offset
    chunks = raw_from(str(tmp_path), writer.feed, 100, lambda: end)
    found = [(chunk.stream, chunk.data or chunk.lost, offset) async for chunk, offset in chunks]
    kept = [(1, LINE, number * 4096) for number in (3, 4, 5)]
    assert found == [(GAP, 2 * 4096 - 100, 2 * 4096), *kept]


async def test_others_are_served_while_lines_of_one_stream_are_looked_for(tmp_path: Path) -> None:
    """Thousands of records of the other stream are gone through before anything is found."""
    write_log(tmp_path, [*[Piece(1, b"out\n")] * 20_000, Piece(2, b"err\n")])
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    found = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(count_turns)
        async for lot in follow(str(tmp_path), None, Query(streams=frozenset({2}))):
            found += lot
        nursery.cancel_scope.cancel()
    assert [entry.data for entry in found] == [b"err\n"]
    assert turns > 1
