"""A blob from a registry to the content store: verified, and gone on with where it broke off (RFC 9110, 14)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import trio

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.images.content import Blob, Content, Writer
from pysup.supervisor.images.digests import WrongDigest
from pysup.supervisor.images.documents import Descriptor
from pysup.supervisor.images.registry.failures import Retriable

if TYPE_CHECKING:
    import httpx

    from pysup.supervisor.images.registry.session import Session

Moved = Callable[[int], None]
"""Told how many bytes are there."""


def _nobody(_size: int) -> None:
    """Nobody reads along."""


_OK, _PARTIAL = 200, 206
_PIECE = 1 << 20
"""Bytes that are written at once."""
_RANGE = re.compile(r"bytes (\d{1,18})-", re.ASCII)


class Wanted(NamedTuple):
    """A blob, and where it is."""

    url: str
    blob: Descriptor


async def download(
    session: Session, wanted: Wanted, content: Content, moved: Moved, written: Moved = _nobody
) -> Blob:
    """Get a blob; the same one is downloaded once at a time (the caller's part). ``written``: what is in the file.

    What has come stays for the next try, even of another pull. Raises PysupError, OSError (a full disk).
    """

    async def once() -> Blob:
        async with _resumed(content, wanted.blob.digest) as writer:
            before = writer.size
            written(before)
            if before > wanted.blob.size:
                await trio.to_thread.run_sync(writer.discard)
                raise Retriable(_too_long(session, wanted.blob), progressed=True)
            try:
                if before < wanted.blob.size:
                    await _receive(session, wanted, writer, moved, written)
                return await _commit(session, writer, wanted.blob, resumed_at=before)
            except Retriable as error:
                error.progressed = error.progressed or writer.size > before
                raise
            except OSError:  # a full disk: what has come is in the way of everybody
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(writer.discard)
                raise

    return await session.retried(once)


@asynccontextmanager
async def _resumed(content: Content, digest: str) -> AsyncIterator[Writer]:
    """Content.resume(), whose ends read and close in a thread."""
    opened: AbstractContextManager[Writer] = content.resume(digest)
    writer = await trio.to_thread.run_sync(opened.__enter__)
    try:
        yield writer
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(opened.__exit__, None, None, None)


async def _receive(session: Session, wanted: Wanted, writer: Writer, moved: Moved, written: Moved) -> None:
    """The rest of the blob. Raises Retriable, WrongDigest: more came than was announced."""
    headers = {"Accept-Encoding": "identity"}
    if writer.size:
        headers["Range"] = f"bytes={writer.size}-"
    async with session.send("GET", wanted.url, headers=headers) as response:
        await session.expect(response, (_OK, _PARTIAL))
        skipped = writer.size - _begin(response)
        if skipped < 0:
            raise Unavailable(f"cannot {session.task}: the registry sent another part than was asked for")
        sink = _Sink(writer, skipped, wanted.blob.size, moved, written)
        try:
            async for piece in response.aiter_raw():
                await sink.take(piece)
        finally:  # what has come need not come again
            with trio.CancelScope(shield=True):
                await sink.flush()
    if writer.size < wanted.blob.size:
        raise session.broken(EOFError("the connection ended too early"))


def _begin(response: httpx.Response) -> int:
    """Where the answer begins in the blob: a registry may not know of ranges, and send all of it."""
    if response.status_code == _OK:
        return 0
    match = _RANGE.match(response.headers.get("content-range", ""))
    return int(match[1]) if match else 1 << 62


class _Sink:
    """Collects what comes in small pieces, and writes it in large ones."""

    def __init__(self, writer: Writer, skipped: int, size: int, moved: Moved, written: Moved) -> None:
        self._writer = writer
        self._skipped = skipped
        self._size = size
        self._moved = moved
        self._written = written
        self._held = bytearray()

    async def take(self, piece: bytes) -> None:
        """Raises WrongDigest if more has come than there can be."""
        if self._skipped:
            piece, self._skipped = piece[self._skipped :], max(0, self._skipped - len(piece))
        self._held += piece
        if self._writer.size + len(self._held) > self._size:
            self._held.clear()
            await trio.to_thread.run_sync(self._writer.discard)
            raise WrongDigest(
                f"cannot use the registry's blob: it has more than the {self._size} bytes announced"
            )
        if len(self._held) >= _PIECE:
            await self.flush()
        self._moved(self._writer.size + len(self._held))

    async def flush(self) -> None:
        """Write what is held."""
        held, self._held = self._held, bytearray()
        if held:
            await trio.to_thread.run_sync(self._writer.write, memoryview(held))
            self._written(self._writer.size)


async def _commit(session: Session, writer: Writer, blob: Descriptor, *, resumed_at: int) -> Blob:
    """Wrong content is dropped; if it was got in several parts, it is got once more as a whole."""
    try:
        return await trio.to_thread.run_sync(writer.commit, blob.digest, blob.size)
    except WrongDigest as error:
        told = WrongDigest(f"cannot {session.task}: {error}")
        if resumed_at:
            raise Retriable(told) from error
        raise told from None


def _too_long(session: Session, blob: Descriptor) -> Unavailable:
    return Unavailable(f"cannot {session.task}: what had come of {blob.digest} is too long")
