"""The pump on real pipes and terminals: every byte, the right stream, one chunk at a time, and no copy lost."""

from __future__ import annotations

import contextlib
import errno
import os
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing
from helpers.logs import bytes_of

from pysup.supervisor.logs import pump as pump_module
from pysup.supervisor.logs import sources
from pysup.supervisor.logs.pump import Pace, drain, pump
from pysup.supervisor.logs.reader import LogReader, Query
from pysup.supervisor.logs.sources import PipeSource, TerminalSource
from pysup.supervisor.logs.writer import CHUNK, LogWriter


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[LogWriter]:
    opened = LogWriter.open(str(tmp_path))
    opened.begin()
    yield opened
    opened.close()


@pytest.fixture
def fds() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        stack.callback(close, end)
    return ends


def terminal(stack: contextlib.ExitStack) -> tuple[int, int]:
    ends = os.openpty()
    for end in ends:
        stack.callback(close, end)
    tty.setraw(ends[1])
    return ends


def close(fd: int) -> None:
    with contextlib.suppress(OSError):
        os.close(fd)


def read(directory: Path) -> dict[int, bytes]:
    return bytes_of(LogReader(str(directory)).select(Query()))


async def test_two_streams_go_to_one_log_until_both_end(
    tmp_path: Path, writer: LogWriter, fds: contextlib.ExitStack
) -> None:
    (out, out_end), (err, err_end) = pipe(fds), pipe(fds)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, out, 1, writer)
        nursery.start_soon(pump, err, 2, writer)
        for number in range(20):
            os.write(out_end, b"out %d\n" % number)
            os.write(err_end, b"err %d\n" % number)
            await writer.feed.wait_beyond(writer.offset)
        os.close(out_end)
        os.close(err_end)
    found = read(tmp_path)
    assert found[1] == b"".join(b"out %d\n" % number for number in range(20))
    assert found[2] == b"".join(b"err %d\n" % number for number in range(20))


async def test_more_than_a_pipe_holds_comes_through_whole(
    tmp_path: Path, writer: LogWriter, fds: contextlib.ExitStack
) -> None:
    reader, end = pipe(fds)
    data = os.urandom(5 << 20)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, reader, 1, writer)
        stream = trio.lowlevel.FdStream(end)
        await stream.send_all(data)
        await stream.aclose()
    assert b"".join(file.read_bytes() for file in sorted(tmp_path.glob("*.log"))) == data


@pytest.mark.parametrize("splices", [True, False])
async def test_a_terminal_ends_when_its_last_slave_is_closed(
    tmp_path: Path,
    writer: LogWriter,
    fds: contextlib.ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    splices: bool,
) -> None:
    """Also on a kernel whose terminals refuse splice(2)."""
    master, slave = terminal(fds)
    relay = pipe(fds)
    if not splices:
        refuse_terminals(monkeypatch, master)
    data = bytes(range(256)) * 400
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, master, 1, writer, relay)
        await trio.to_thread.run_sync(write_all, slave, data)
        os.close(slave)
    assert (tmp_path / "00000001.log").read_bytes() == data


def refuse_terminals(monkeypatch: pytest.MonkeyPatch, master: int) -> None:
    real = os.splice

    def splice(src: int, *args: int, **kwargs: int) -> int:
        if src == master:
            raise OSError(errno.EINVAL, "as Linux 5.10 does")
        return real(src, *args, **kwargs)

    monkeypatch.setattr(os, "splice", splice)


def write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


async def test_what_a_killed_predecessor_left_in_the_relay_comes_first(
    tmp_path: Path, writer: LogWriter, fds: contextlib.ExitStack
) -> None:
    master, slave = terminal(fds)
    relay = pipe(fds)
    os.write(relay[1], b"left ")
    os.write(slave, b"over")
    os.close(slave)
    await pump(master, 1, writer, relay)
    assert read(tmp_path) == {1: b"left over"}


async def test_cancelling_leaves_the_bytes_in_the_pipe(
    tmp_path: Path, writer: LogWriter, fds: contextlib.ExitStack
) -> None:
    reader, end = pipe(fds)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, reader, 1, writer)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    os.write(end, b"after")
    assert writer.offset == 0
    assert drain(reader, 1, writer) == 0
    assert read(tmp_path) == {1: b"after"}


async def test_closing_the_log_ends_its_pumps(writer: LogWriter, fds: contextlib.ExitStack) -> None:
    reader, end = pipe(fds)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, reader, 1, writer)
        await trio.testing.wait_all_tasks_blocked()
        writer.close()
        os.write(end, b"x")


async def test_a_flood_does_not_keep_another_stream_waiting(
    tmp_path: Path, writer: LogWriter, fds: contextlib.ExitStack
) -> None:
    """One chunk for each wake-up: at most three chunks of the flood come before a line of somebody else."""
    (flood, flood_end), (calm, calm_end) = pipe(fds), pipe(fds)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, flood, 1, writer)
        nursery.start_soon(pump, calm, 2, writer)
        nursery.start_soon(trio.to_thread.run_sync, write_all, flood_end, b"f" * (16 << 20))
        await writer.feed.wait_beyond(1 << 20)
        asked = writer.offset
        os.write(calm_end, b"calm")
        nursery.start_soon(answer, writer, tmp_path, asked, flood_end, calm_end)


async def answer(writer: LogWriter, directory: Path, asked: int, *ends: int) -> None:
    while b"calm" not in b"".join(file.read_bytes() for file in sorted(directory.glob("*.log"))):
        await writer.feed.wait_beyond(writer.offset)
    assert writer.offset <= asked + 3 * CHUNK + 4
    while writer.offset < (16 << 20) + 4:
        await writer.feed.wait_beyond(writer.offset)
    for end in ends:
        os.close(end)


def test_a_full_disk_is_no_end_of_a_pipe_that_is_empty(
    writer: LogWriter, fds: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What made it readable may have been copied by another's turn, before the disk was full."""
    reader, writing = pipe(fds)

    def refuse(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer, "splice", refuse)
    source = PipeSource(reader)
    with pytest.raises(OSError, match="No space left"):
        source.copy(writer, 1)
    close(writing)
    assert source.copy(writer, 1) == 0


def test_drain_takes_everything_of_a_dead_process_and_does_not_wait(
    tmp_path: Path, writer: LogWriter, fds: contextlib.ExitStack
) -> None:
    reader, end = pipe(fds)
    os.write(end, b"x" * 60000)
    assert drain(reader, 2, writer) == 0
    os.close(end)
    assert drain(reader, 2, writer) == 0
    assert read(tmp_path) == {2: b"x" * 60000}


def test_drain_of_a_terminal_gets_what_is_in_all_its_buffers(
    tmp_path: Path, writer: LogWriter, fds: contextlib.ExitStack
) -> None:
    master, slave = terminal(fds)
    relay = pipe(fds)
    os.set_blocking(slave, False)
    written = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            written += os.write(slave, b"y" * 1000)
    os.close(slave)
    assert drain(master, 1, writer, relay) == 0
    assert (tmp_path / "00000001.log").stat().st_size == written > 4096


def test_drain_gives_up_on_a_writer_that_never_stops(
    writer: LogWriter, fds: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, end = pipe(fds)
    real = writer.splice

    def splice_and_write(fd: int, stream: int) -> int:
        moved = real(fd, stream)
        os.write(end, b"z" * 60000)
        return moved

    monkeypatch.setattr(writer, "splice", splice_and_write)
    os.write(end, b"z")
    assert drain(reader, 1, writer) == 60000
    assert writer.offset < 2 * CHUNK


def test_a_burst_is_not_busy_and_a_flood_is() -> None:
    pace = Pace()
    calm = [pace.is_busy(10 + number * 0.001) for number in range(pump_module.BUSY)]
    assert not any(calm)
    assert pace.is_busy(10.0085)
    assert not pace.is_busy(11)


def test_a_relay_that_the_segment_has_no_room_for_is_emptied_later(
    tmp_path: Path, fds: contextlib.ExitStack
) -> None:
    writer = LogWriter.open(str(tmp_path), max_size=4096)
    master, slave = terminal(fds)
    source = TerminalSource(master, pipe(fds))
    os.write(slave, b"1" * 3000)
    os.write(slave, b"2" * 3000)
    assert source.copy(writer, 1) <= 4096
    while source.pending():
        source.copy(writer, 1)
    assert writer.offset == 6000
    writer.close()


def test_what_comes_between_two_looks_at_a_silent_pipe_is_not_its_end(
    tmp_path: Path, fds: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written after the pipe was seen empty, and before it was seen closed."""
    read_end, write_end = pipe(fds)
    os.set_blocking(read_end, False)
    look = sources.pending

    def written_after(fd: int) -> int:
        found = look(fd)
        os.write(write_end, b"last words\n")
        os.close(write_end)
        return found

    monkeypatch.setattr(sources, "pending", written_after)
    writer = LogWriter.open(str(tmp_path / "logs"))
    with contextlib.suppress(BlockingIOError):
        assert PipeSource(read_end).copy(writer, 1)
    writer.close()
