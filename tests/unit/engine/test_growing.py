"""A file that is read while it grows: all of it, or an error; never an early end."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import trio

from pysup.supervisor.engine.images.growing import Growing

PIECES = [b"one", b"", b"x" * 100_000, b"the end"]


def read_all(growing: Growing) -> bytes:
    with growing:
        return growing.readall() or b""


async def test_what_comes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    growing, found = Growing(str(path)), []

    async def read() -> None:
        found.append(await trio.to_thread.run_sync(read_all, growing))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        with path.open("wb", buffering=0) as file:
            for piece in PIECES:
                file.write(piece)
                growing.grown(file.tell())
                await trio.lowlevel.checkpoint()
        growing.end(whole=True)
    assert found == [b"".join(PIECES)]


@pytest.mark.parametrize("whole", [True, False])
async def test_what_is_given_up_or_begun_anew_is_an_error(tmp_path: Path, *, whole: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"beginning")
    growing = Growing(str(path))
    growing.grown(9)
    if whole:
        growing.grown(0)  # begun anew
    growing.end(whole=whole)
    with pytest.raises(OSError, match="not downloaded as a whole") as caught:
        await trio.to_thread.run_sync(read_all, growing)
    assert caught.value.errno == errno.ESTALE


async def test_a_reader_that_waits_is_cancelled(tmp_path: Path) -> None:
    with trio.move_on_after(0.05) as scope:
        await trio.to_thread.run_sync(read_all, Growing(str(tmp_path / "file")))
    assert scope.cancelled_caught
