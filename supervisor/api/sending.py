"""How answers are sent that are not whole: in chunks, or by giving the connection away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache

import h11

from pysup.supervisor import __version__
from pysup.supervisor.api.resumption import POSITIONED
from pysup.supervisor.api.router import MAXIMUM
from pysup.supervisor.api.transport import Transport
from pysup.supervisor.api.wire import Streamed

COMMON = [
    ("Api-Version", f"{MAXIMUM[0]}.{MAXIMUM[1]}"),
    ("Docker-Experimental", "false"),
    ("Ostype", "linux"),
    ("Server", f"Pysup/{__version__} (linux)"),
]


def headers_for(content_type: str) -> list[tuple[str, str]]:
    """What every answer has, with the type of its content, if any."""
    return [*COMMON, ("Content-Type", content_type)] if content_type else list(COMMON)


@lru_cache(maxsize=128)
def response_head(status: int, content_type: str, *headers: tuple[str, str]) -> h11.Response:
    """The head of an answer: h11 takes longer to check one than to do all the rest of an exchange."""
    return h11.Response(status_code=status, headers=[*headers_for(content_type), *headers])


class ChunkedSink:
    """Sends a chunked answer (RFC 9112, 7.1): the head with the first chunk, or before it; the end with the last."""

    def __init__(
        self, send: Callable[[list[h11.Event]], Awaitable[None]], answer: Streamed, *, head_only: bool
    ) -> None:
        self._send = send
        self._answer = answer
        self._head_only = head_only
        self._ended = False
        self.begun = False

    async def begin(self, *headers: tuple[str, str]) -> None:
        """Send the head, once."""
        if not self.begun:
            await self._send(self._head(*headers))

    async def send(self, data: bytes) -> None:
        """Send one chunk; an empty one would end the answer, and is left out."""
        if events := [*self._head(), *self._chunk(data)]:
            await self._send(events)

    async def end(self, data: bytes = b"") -> None:
        """Send the last chunk, and the end."""
        if not self._ended:
            self._ended = True
            await self._send([*self._head(), *self._chunk(data), h11.EndOfMessage()])

    def _head(self, *headers: tuple[str, str]) -> list[h11.Event]:
        if self.begun:
            return []
        self.begun = True
        answer = self._answer
        return [response_head(answer.status, answer.content_type, *headers, ("Transfer-Encoding", "chunked"))]

    def _chunk(self, data: bytes) -> list[h11.Event]:
        return [h11.Data(data=data)] if data and not self._head_only else []


class RawDuplex:
    """A connection that is given away, with what had come behind the request."""

    def __init__(self, transport: Transport, early: bytes, *, upgrade: bool) -> None:
        self._transport = transport
        self._early = early
        self._upgrade = upgrade
        self._head_is_read = False
        self.begun = False

    async def begin(self, content_type: str, *headers: tuple[str, str]) -> None:
        """Send the head: 101 to those who asked for an upgrade, else 200 without a length (docker's old way)."""
        self.begun = True
        self._head_is_read = content_type == POSITIONED  # pysup's own clients lose nothing
        every = [*headers_for(content_type), *headers]
        if self._upgrade:
            head = _raw_head("101 UPGRADED", [("Connection", "Upgrade"), ("Upgrade", "tcp"), *every])
        else:
            head = _raw_head("200 OK", every)
        await self._transport.send_all(head)

    async def receive_some(self) -> bytes:
        """What the client sent; b"" once it has closed its writing side."""
        if self._early:
            early, self._early = self._early, b""
            return early
        return await self._transport.receive_some()

    async def send_all(self, data: bytes) -> None:
        """Send to the client, once it has taken the head: docker-py loses what it reads together with that."""
        if not self._head_is_read:
            await self._transport.until_read()
            self._head_is_read = True
        await self._transport.send_all(data)


def _raw_head(status: str, headers: Sequence[tuple[str, str]]) -> bytes:
    """The head of an answer after which the connection is no longer HTTP; h11 has no part in that."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("ascii")
