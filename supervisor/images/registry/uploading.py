"""A blob from the content store to a registry (OCI distribution-spec, Pushing Blobs).

In one request, which every registry takes. Where that breaks off and the registry kept what had come, or where it is
too much at once (413), the rest goes in parts.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, NoReturn
from urllib.parse import urlencode, urlsplit

import trio

from pysup.supervisor.errors import PysupError, Unavailable
from pysup.supervisor.images.content import Blob
from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.registry.endpoints import (
    blob_path,
    manifest_path,
    upload_place,
    uploads_path,
)
from pysup.supervisor.images.registry.failures import Retriable, clean, refusal
from pysup.supervisor.spec.reference import Reference

if TYPE_CHECKING:
    import httpx

    from pysup.supervisor.images.registry.session import Session

Moved = Callable[[int], None]
"""Told how many bytes are there."""

_OK, _CREATED, _ACCEPTED, _NO_CONTENT, _NOT_FOUND, _TOO_LARGE = 200, 201, 202, 204, 404, 413
_LOST = frozenset({_NOT_FOUND, 416})
"""The upload is not there any more, or not at the byte where it was thought to be."""
_READ = 256 << 10
"""Bytes that are read and sent at once."""
_PART = 8 << 20
"""Bytes of a part, where a registry does not take the whole; fewer than gateways let through, more than any minimum."""
_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})", re.ASCII)


class How(Enum):
    """What had to be done."""

    EXISTED = "existed"
    MOUNTED = "mounted"
    UPLOADED = "uploaded"


class Sent(NamedTuple):
    """A blob that the registry has."""

    how: How
    origin: str = ""
    """The repository that it was mounted from."""


class Outgoing(NamedTuple):
    """A blob that a repository is to have."""

    repository: str
    """A Reference's path."""
    blob: Blob
    open: Callable[[], BinaryIO]
    """Blocks."""
    origins: Sequence[str] = ()
    """Repositories of the same registry that may have it: their paths, the likeliest first."""


async def upload(session: Session, outgoing: Outgoing, moved: Moved) -> Sent:
    """See to it that a blob is there. Raises Forbidden, NotFound, Unavailable."""
    if await _is_there(session, outgoing.repository, outgoing.blob.digest):
        return Sent(How.EXISTED)
    for origin in outgoing.origins:
        if await _mounted(session, outgoing, origin):
            return Sent(How.MOUNTED, origin)
    with await trio.to_thread.run_sync(outgoing.open) as file:
        await session.retried(_Upload(session, outgoing, file, moved).go_on)
    return Sent(How.UPLOADED)


async def put_manifest(session: Session, name: Reference, content: bytes, media_type: str) -> None:
    """A manifest by a tag, or a digest. Raises Forbidden, NotFound, Unavailable."""
    answer = await session.ask(
        "PUT",
        manifest_path(name),
        expected=(_OK, _CREATED),
        headers={"Content-Type": media_type},
        body=lambda: content,
    )
    digest, stored = digest_of(content), answer.headers.get("docker-content-digest")
    if stored not in {None, digest}:
        raise Unavailable(
            f"cannot {session.task}: the registry has {clean(stored)} of it instead of {digest}"
        )


async def _is_there(session: Session, repository: str, digest: str) -> bool:
    answer = await session.ask("HEAD", blob_path(repository, digest), expected=(_OK, _NOT_FOUND))
    return answer.status == _OK


async def _mounted(session: Session, outgoing: Outgoing, origin: str) -> bool:
    """Whether the registry has taken it over from another repository. Where it will not, it begins an upload instead,
    or refuses (a registry's rights, a repository that is gone): neither is a failure of the push.
    """
    query = urlencode({"mount": outgoing.blob.digest, "from": origin})
    try:
        answer = await session.ask(
            "POST", f"{uploads_path(outgoing.repository)}?{query}", expected=(_CREATED, _ACCEPTED)
        )
    except PysupError:
        return False
    if answer.status == _CREATED:
        return True
    await _drop(session, answer.headers.get("location", ""))
    return False


async def _drop(session: Session, location: str) -> None:
    """An upload that nobody goes on with (distribution's DELETE; not every registry has it)."""
    if location:
        with suppress(Retriable, PysupError):
            place = upload_place(session.endpoint.url, location)
            async with session.send("DELETE", place):
                pass


class _Upload:
    """One blob on its way; what has arrived outlasts a failed try, if the registry has kept it."""

    def __init__(self, session: Session, outgoing: Outgoing, file: BinaryIO, moved: Moved) -> None:
        self._session = session
        self._outgoing = outgoing
        self._file = file
        self._moved = moved
        self._begun = False
        self._location = ""
        """Where the registry wants the rest; empty: no upload has begun, or it is lost."""
        self._arrived = 0
        """Bytes that the registry has for sure."""
        self._part = 0
        """Bytes that it takes at once; 0: all."""

    async def go_on(self) -> None:
        """One try. Raises Retriable, PysupError."""
        if self._begun and await _is_there(
            self._session, self._outgoing.repository, self._outgoing.blob.digest
        ):
            return  # it was the answer that was lost
        self._begun, before = True, self._arrived
        try:
            await self._find_place()
            await self._send_rest()
        except Retriable as error:
            error.progressed = error.progressed or self._arrived > before
            raise

    async def _find_place(self) -> None:
        """Where to go on: behind what the registry says that it has, or at the beginning."""
        if self._location and not await self._asked():
            self._location = ""
        if not self._location:
            self._arrived = 0
            async with self._session.send("POST", uploads_path(self._outgoing.repository)) as response:
                await self._session.expect(response, (_ACCEPTED,))
                self._keep_place(response)

    async def _asked(self) -> bool:
        """Ask for the state of the upload (distribution-spec, end-13); False if there is none any more."""
        async with self._session.send("GET", self._location) as response:
            arrived = _arrived(response)
            if arrived is None or arrived > self._outgoing.blob.size:
                return False
            self._arrived = arrived
            self._keep_place(response)
            return True

    async def _send_rest(self) -> None:
        """As one, if nothing of it is there and it may be; otherwise part by part."""
        size = self._outgoing.blob.size
        while self._arrived < size and (self._arrived or self._part):
            await self._send_part(min(size, self._arrived + (self._part or size)))
        joint = "&" if urlsplit(self._location).query else "?"
        named = f"{self._location}{joint}{urlencode({'digest': self._outgoing.blob.digest})}"
        async with self._session.send(
            "PUT", named, headers=self._head(size), body=self._body(size)
        ) as response:
            await self._expect(response, _CREATED)

    async def _send_part(self, end: int) -> None:
        headers = self._head(end) | {"Content-Range": f"{self._arrived}-{end - 1}"}
        async with self._session.send(
            "PATCH", self._location, headers=headers, body=self._body(end)
        ) as response:
            await self._expect(response, _ACCEPTED)
            self._arrived = end
            self._keep_place(response)

    def _head(self, end: int) -> dict[str, str]:
        return {"Content-Type": "application/octet-stream", "Content-Length": str(end - self._arrived)}

    def _body(self, end: int) -> Callable[[], AsyncIterator[bytes]]:
        return partial(_Pieces, self._file.fileno(), self._arrived, end, self._moved)

    def _keep_place(self, response: httpx.Response) -> None:
        """Where the next request goes. Raises Unavailable."""
        self._location = upload_place(str(response.url), response.headers.get("location", self._location))
        least = response.headers.get("oci-chunk-min-length", "")
        if self._part and least.isascii() and least.isdigit():
            self._part = max(self._part, int(least[:12]))

    async def _expect(self, response: httpx.Response, status: int) -> None:
        """Raises Retriable where another place or another size may help."""
        if response.status_code == _TOO_LARGE and not self._part:
            self._part = _PART
            self._give_up(response, progressed=True)
        if response.status_code in _LOST:
            self._give_up(response)
        await self._session.expect(response, (status,))

    def _give_up(self, response: httpx.Response, *, progressed: bool = False) -> NoReturn:
        """This upload; not the blob."""
        self._location = ""
        raise Retriable(refusal(self._session.task, response.status_code, b""), progressed=progressed)


class _Pieces:
    """The bytes of a file from ``begin`` to ``end``."""

    def __init__(self, fd: int, begin: int, end: int, moved: Moved) -> None:
        self._fd = fd
        self._at = begin
        self._end = end
        self._moved = moved

    def __aiter__(self) -> _Pieces:
        return self

    async def __anext__(self) -> bytes:
        """The next one. Raises OSError."""
        self._moved(self._at)
        if self._at >= self._end:
            raise StopAsyncIteration
        piece = await trio.to_thread.run_sync(os.pread, self._fd, min(_READ, self._end - self._at), self._at)
        if not piece:
            raise OSError(errno.EIO, "a blob on disk is shorter than it was")
        self._at += len(piece)
        return piece


def _arrived(response: httpx.Response) -> int | None:
    """Bytes; None where there is no such upload. ``0-0`` is what registries say of an empty one."""
    found = _RANGE.fullmatch(response.headers.get("range", "0-0"))
    if response.status_code != _NO_CONTENT or not found:
        return None
    return int(found[1]) + 1 if int(found[1]) else 0
