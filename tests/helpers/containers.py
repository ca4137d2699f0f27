"""Run one container through a real keeper, and tell all that came of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import trio
from helpers.keepers import FLAGS, plan

from pysup.supervisor.keeper.client.link import Link
from pysup.supervisor.runtime.launch import Launched, StdioPlan, launch


class Outcome(NamedTuple):
    status: int
    stdout: str
    stderr: str

    @property
    def code(self) -> int:
        """As from os.waitstatus_to_exitcode: negative for a signal."""
        return os.waitstatus_to_exitcode(self.status)


async def start(
    link: Link, base: Path, argv: list[str], *, key: str = "run/c/1", flags: int = FLAGS, tty: bool = False,
    open_stdin: bool = False, steps: list[list[Any]] | None = None, **more: Any,
) -> Launched:  # fmt: skip
    """Start a container of the host's root; it has begun its program when this returns."""
    chosen = plan(base, argv, tty=tty) if steps is None else steps
    stdio = StdioPlan(tty=tty, open_stdin=open_stdin)
    launched = await launch(
        link, what="container web", key=key, flags=flags, plan=chosen, stdio=stdio, **more
    )
    await launched.go()
    return launched


async def kept(link: Link) -> list[str]:
    """The keys of all entries of the keeper."""
    return [entry.key for entry in await link.entries()]


async def read_all(fd: int) -> str:
    """Everything until all writers are gone (a terminal: until EIO)."""
    os.set_blocking(fd, False)
    parts = []
    while True:
        try:
            part = os.read(fd, 65536)
        except BlockingIOError:
            await trio.lowlevel.wait_readable(fd)
        except OSError:
            break
        else:
            if not part:
                break
            parts.append(part)
    return b"".join(parts).decode()


async def outcome(link: Link, launched: Launched) -> Outcome:
    """Wait for the end, read the output, and reap."""
    stdio = launched.stdio
    status = await launched.process.wait()
    output = stdio.master if stdio.stdout is None else stdio.stdout
    assert output is not None
    stdout = await read_all(output)
    stderr = "" if stdio.stderr is None else await read_all(stdio.stderr)
    await link.reap(launched.process.key)
    return Outcome(status, stdout, stderr)


async def run(link: Link, base: Path, argv: list[str], **more: Any) -> Outcome:
    """Start a container and wait for its end."""
    return await outcome(link, await start(link, base, argv, **more))
