"""The order of two pipes: that in which they were written to, however the tasks are woken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from pysup.supervisor.logs.order import Order
from pysup.supervisor.logs.pump import drain, pump
from pysup.supervisor.logs.reader import LogReader, Query
from pysup.supervisor.logs.writer import LogWriter

TIMES = 25
"""Trio wakes tasks in a random order: once would prove nothing."""


class Pipes:
    """A process's standard output (1) and error (2)."""

    def __init__(self) -> None:
        self.ends = {1: os.pipe(), 2: os.pipe()}
        for reader, _ in self.ends.values():
            os.set_blocking(reader, False)
        self.outputs = [(reader, stream, None) for stream, (reader, _) in self.ends.items()]

    def write(self, stream: int, data: bytes) -> None:
        os.write(self.ends[stream][1], data)

    def close(self) -> None:
        for pair in self.ends.values():
            for fd in pair:
                os.close(fd)


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    made = Pipes()
    yield made
    made.close()


def written(directory: Path) -> list[tuple[int, bytes]]:
    return [(entry.stream, entry.data) for entry in LogReader(str(directory)).select(Query(lines=True))]


@pytest.mark.parametrize("first", [1, 2])
async def test_what_is_written_first_is_copied_first(tmp_path: Path, pipes: Pipes, first: int) -> None:
    writer = LogWriter.open(str(tmp_path))
    with Order(pipes.outputs) as order:
        async with trio.open_nursery() as nursery:
            for fd, stream, relay in order.outputs:
                nursery.start_soon(pump, fd, stream, writer, relay, order)
            for _ in range(TIMES):
                await trio.testing.wait_all_tasks_blocked(0.003)  # a stream that is busy rests
                pipes.write(first, b"first\n")
                pipes.write(3 - first, b"second\n")
            await trio.testing.wait_all_tasks_blocked(0.003)
            nursery.cancel_scope.cancel()
    writer.close()
    assert written(tmp_path) == [(first, b"first\n"), (3 - first, b"second\n")] * TIMES


@pytest.mark.parametrize("first", [1, 2])
def test_what_is_left_at_the_end_is_in_order(tmp_path: Path, pipes: Pipes, first: int) -> None:
    writer = LogWriter.open(str(tmp_path))
    with Order(pipes.outputs) as order:
        pipes.write(first, b"first\n")
        pipes.write(3 - first, b"second\n")
        for fd, stream, relay in order.of_the_rest():
            assert drain(fd, stream, writer, relay) == 0
    writer.close()
    assert written(tmp_path) == [(first, b"first\n"), (3 - first, b"second\n")]


def test_one_output_needs_no_order(pipes: Pipes, tmp_path: Path) -> None:
    writer = LogWriter.open(str(tmp_path))
    with Order(pipes.outputs[:1]) as order:
        pipes.write(1, b"x")
        order.copy_earlier(pipes.outputs[0][0], writer)
        assert order.of_the_rest() == pipes.outputs[:1]
    assert writer.offset == 0
    writer.close()


def test_a_pipe_that_nobody_wrote_to_comes_last(pipes: Pipes) -> None:
    with Order(pipes.outputs) as order:
        pipes.write(2, b"x")
        assert [stream for _, stream, _ in order.of_the_rest()] == [2, 1]
