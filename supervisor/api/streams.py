"""Docker's framing of stdout and stderr over one connection, and the copying between a client and a process."""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Protocol, TypeVar, cast

import trio

from pysup.supervisor.api.wire import Duplex

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
_HEAD = struct.Struct(">B3xI")
"""Stream number (1 stdout, 2 stderr), three zeros, length of the payload, big endian."""
END = 0
"""The stream number of the last frame where frames have positions: without it, the output was broken off."""

Encode = Callable[[int, bytes], bytes]
"""From a stream's number and some of its bytes to what is sent."""


def raw(_stream: int, data: bytes) -> bytes:
    """A terminal's bytes, as they are."""
    return data


def frame(stream: int, data: bytes) -> bytes:
    """One frame; a terminal's output goes without."""
    return _HEAD.pack(stream, len(data)) + data


T = TypeVar("T")


def closing(source: AsyncIterator[T]) -> AbstractAsyncContextManager[AsyncIterator[T]]:
    """Close a generator at once when nobody reads on: it may hold files open (PEP 525)."""
    return aclosing(cast("AsyncGenerator[T, None]", source))


class Input(Protocol):
    """Where a client's input goes (engine: Attachment, ExecSession)."""

    async def write_stdin(self, data: bytes) -> None:
        """Write all of it."""

    async def close_stdin(self) -> None:
        """The client has no more input."""


class DetachScanner:
    """Finds the detach keys in a terminal's input. What may be their beginning is withheld until it is decided."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What goes to the process, and whether the whole sequence has come (what follows it is dropped)."""
        if not self._keys:
            return data, False
        data = self._held + data
        at = data.find(self._keys)
        if at >= 0:
            self._held = b""
            return data[:at], True
        keep = next(
            n
            for n in range(min(len(data), len(self._keys) - 1), -1, -1)
            if self._keys.startswith(data[len(data) - n :])
        )
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep], False

    def rest(self) -> bytes:
        """At the end of the input: what was withheld and is no beginning of anything any more."""
        held, self._held = self._held, b""
        return held


async def copy_both_ways(
    client: Duplex,
    chunks: AsyncIterator[tuple[int, bytes]],
    into: Input | None,
    *,
    encode: Encode,
    keys: bytes,
) -> None:
    """Until the output ends or the detach keys come. The end of the input ends nothing but the process's stdin."""
    async with trio.open_nursery() as nursery:
        if into is not None:
            nursery.start_soon(_copy_input, client, into, DetachScanner(keys), nursery.cancel_scope.cancel)
        async with closing(chunks) as output:
            async for stream, data in output:
                await client.send_all(encode(stream, data))
        nursery.cancel_scope.cancel()


async def _copy_input(
    client: Duplex, into: Input, scanner: DetachScanner, detach: Callable[[], None]
) -> None:
    while data := await client.receive_some():
        passed, detached = scanner.feed(data)
        if passed:
            await into.write_stdin(passed)
        if detached:
            detach()
            return
    if rest := scanner.rest():
        await into.write_stdin(rest)
    await into.close_stdin()
