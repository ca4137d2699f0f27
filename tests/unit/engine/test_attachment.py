"""What somebody who is attached is told of output that is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from pysup.supervisor.engine.containers.attachment import Attachment, RunEnd
from pysup.supervisor.engine.containers.stdin import Stdin
from pysup.supervisor.logs.writer import LogWriter
from pysup.supervisor.spec.from_docker import normalise

PROCESS = normalise({"Image": "x", "Cmd": ["x"]}, {}).spec.process


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[LogWriter]:
    writer = LogWriter.open(str(tmp_path))
    yield writer
    writer.close()


async def collect(chunks: AsyncIterator[tuple[int, bytes]], into: list[object]) -> None:
    async for chunk in chunks:
        into.append(chunk)  # noqa: PERF401


async def read(
    directory: Path, writer: LogWriter, text: bytes = b"out\n", *, tty: bool = False, stderr: bool = True
) -> list[object]:
    """What a client is sent that attached after the first gap."""
    writer.write(1, b"before\n")
    writer.gap(5)
    end = RunEnd()
    attachment = Attachment(replace(PROCESS, tty=tty), str(directory), writer.feed, end, Stdin(), run=1)
    found: list[object] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect, attachment.chunks(stderr=stderr), found)
        await trio.testing.wait_all_tasks_blocked()
        writer.write(1, text)
        writer.gap(7)
        end.offset = writer.offset
        writer.feed.poke()
    return found


async def test_what_the_disk_did_not_take_is_told_on_stderr(tmp_path: Path, writer: LogWriter) -> None:
    told = (2, b"pysup: 7 bytes of output are missing here\n")
    assert await read(tmp_path, writer) == [(1, b"out\n"), told]


async def test_nothing_of_a_run_may_have_been_taken(tmp_path: Path, writer: LogWriter) -> None:
    assert await read(tmp_path, writer, b"") == [(2, b"pysup: 7 bytes of output are missing here\n")]


async def test_who_does_not_want_stderr_is_told_nothing(tmp_path: Path, writer: LogWriter) -> None:
    assert await read(tmp_path, writer, stderr=False) == [(1, b"out\n")]


async def test_a_terminal_shows_it_too(tmp_path: Path, writer: LogWriter) -> None:
    shown = b"".join(data for _, data in await read(tmp_path, writer, tty=True, stderr=False))
    assert shown == b"out\npysup: 7 bytes of output are missing here\r\n"
