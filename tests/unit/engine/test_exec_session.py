"""What an exec writes comes to its client in order, all of it, and no longer than the process lives."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import aclosing, contextmanager

import pytest
import trio
import trio.testing

from pysup.supervisor.engine.containers.exec_session import CHUNK, ExecSession, nothing_to_release
from pysup.supervisor.runtime.launch import Stdio


class Written:
    """An exec whose process is the test: its session, and its standard output (1) and error (2)."""

    def __init__(self) -> None:
        self.session = ExecSession("e", tty=False, has_stdin=False)
        self.ends = {1: os.pipe(), 2: os.pipe()}
        stdio = Stdio(stdout=self.ends[1][0], stderr=self.ends[2][0])
        self.session.connect(stdio, nothing_to_release)
        self.heard: list[tuple[int, bytes]] = []

    def write(self, stream: int, data: bytes) -> None:
        os.write(self.ends[stream][1], data)

    async def copy(self) -> None:
        """All that comes, to ``heard``."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hear)
            await self.session.copy()
            self.session.ended()

    async def _hear(self) -> None:
        async for chunk in self.session.chunks():
            self.heard.append(chunk)

    @contextmanager
    def closed(self) -> Iterator[None]:
        yield
        self.session.ended()
        for pair in self.ends.values():
            for fd in pair:
                os.close(fd)


@pytest.fixture
def written() -> Iterator[Written]:
    made = Written()
    with made.closed():
        yield made


@pytest.mark.parametrize("first", [1, 2])
async def test_what_is_written_first_comes_first(written: Written, first: int) -> None:
    """Also what is written before anybody copies, and what is left when the process has ended."""
    both = [(first, b"first"), (3 - first, b"second")]
    for one in both:
        written.write(*one)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(written.copy)
        await trio.testing.wait_all_tasks_blocked()
        for one in both:
            written.write(*one)
        written.session.process_ended()
    assert written.heard == both * 2


async def test_one_that_never_pauses_does_not_starve_the_other(written: Written) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(written.session.copy)
        written.write(1, bytes(CHUNK))
        written.write(2, b"x")
        async with aclosing(written.session.chunks()) as chunks:
            while (await anext(chunks))[0] == 1:
                written.write(1, bytes(CHUNK // 2))
        written.session.abandon()
        written.session.process_ended()


async def test_a_pipe_that_was_opened_again_after_its_end_is_none_of_ours(written: Written) -> None:
    reader, writer = written.ends[1]
    os.close(writer)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(written.copy)
        await trio.testing.wait_all_tasks_blocked()
        again = os.open(f"/proc/self/fd/{reader}", os.O_WRONLY)
        os.write(again, b"late")
        written.write(2, b"x")
        await trio.testing.wait_all_tasks_blocked()
        written.session.process_ended()
    written.ends[1] = (reader, again)
    assert written.heard == [(2, b"x")]
