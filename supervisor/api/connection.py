"""One connection: requests one after the other, each answered whole, in chunks, or by giving the stream away."""

from __future__ import annotations

import logging
import select
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import h11
import trio

from pysup.supervisor import __version__
from pysup.supervisor.api.errors import error_response
from pysup.supervisor.api.router import MAXIMUM, split_version
from pysup.supervisor.api.wire import Answer, Hijacked, Query, Request, Response, Streamed
from pysup.supervisor.engine.commands import Caller
from pysup.supervisor.errors import BadRequest

log = logging.getLogger(__name__)

Target = TypeVar("Target")

MAX_HEAD = 64 << 10
"""Bytes of a request line with its headers."""
RECEIVE = 64 << 10
SLOW = 60.0
"""Seconds within which the next piece of a request that has begun must come."""
MAX_DRAIN = 1 << 20
"""Bytes of a body that nobody wanted which are still read to keep the connection."""
COMMON = [
    ("Api-Version", f"{MAXIMUM[0]}.{MAXIMUM[1]}"),
    ("Docker-Experimental", "false"),
    ("Ostype", "linux"),
    ("Server", f"Pysup/{__version__} (linux)"),
]


class Gone(Exception):
    """The client broke the rules or the connection off; there is nobody to tell."""


class Connection:
    """Serves one client until it leaves."""

    def __init__(
        self, stream: trio.SocketStream, app: Callable[[Request], Awaitable[Answer]], caller: Caller
    ) -> None:
        self._stream = stream
        self._app = app
        self._caller = caller
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._begun = False

    async def serve(self) -> None:
        """Answer requests until the client leaves or its stream is given away."""
        with suppress(Gone):
            while await self._serve_request():
                self._http.start_next_cycle()
                self._begun = False

    async def _serve_request(self) -> bool:
        """Answer one request; False if the connection is over."""
        try:
            head = await self._next_event()
        except h11.RemoteProtocolError as error:
            await self._refuse(error)
            return False
        if not isinstance(head, h11.Request):
            return False
        answer = await self._answer(head)
        if isinstance(answer, Hijacked):
            return await self._give_away(answer, upgrade=_wants_upgrade(head))
        if isinstance(answer, Streamed):
            await self._stream_answer(answer)
        else:
            await self._send_whole(answer, head_only=head.method == b"HEAD")
        return await self._reusable()

    async def _answer(self, head: h11.Request) -> Answer:
        try:
            return await self._app(self._request(head))
        except h11.RemoteProtocolError as error:
            return error_response(BadRequest(f"cannot read the request: {error}"))
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: whatever a route raises becomes an answer
            return error_response(error)

    def _request(self, head: h11.Request) -> Request:
        target = head.target.decode("ascii", "replace")
        path, _, query = target.partition("?")
        version, path = split_version(path)
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        return Request(
            head.method.decode("ascii", "replace"),
            path,
            Query(query),
            headers,
            self._caller,
            self._body,
            version,
        )

    # -- reading ---------------------------------------------------------------------------------------------

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            with trio.move_on_after(SLOW if self._begun else float("inf")) as patience:
                data = await self._stream.receive_some(RECEIVE)
            if patience.cancelled_caught:
                raise Gone
            self._begun = True
            self._http.receive_data(data)
        return event

    async def _body(self) -> AsyncIterator[bytes]:
        """The rest of the request."""
        while self._http.their_state is h11.SEND_BODY:
            event = await self._next_event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif not isinstance(event, h11.EndOfMessage):
                raise Gone

    async def _reusable(self) -> bool:
        """Read what is left of a body that no route wanted, within reason."""
        drained = 0
        with suppress(h11.RemoteProtocolError):
            async for chunk in self._body():
                drained += len(chunk)
                if drained > MAX_DRAIN:
                    return False
        # h11 notices the end of a request without a body only when it is asked.
        if self._http.their_state is h11.SEND_BODY or self._http.our_state is not h11.DONE:
            return False
        return self._http.their_state is h11.DONE

    # -- answering -------------------------------------------------------------------------------------------

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            await self._stream.send_all(data)

    async def _send_whole(self, answer: Response, *, head_only: bool = False) -> None:
        headers = [*_headers(answer.content_type), *answer.headers]
        if answer.status not in {204, 304}:
            headers.append(("Content-Length", str(len(answer.body))))
        head = self._http.send(h11.Response(status_code=answer.status, headers=headers)) or b""
        body = self._http.send(h11.Data(data=answer.body)) if answer.body and not head_only else b""
        end = self._http.send(h11.EndOfMessage()) or b""
        await self._stream.send_all(head + (body or b"") + end)

    async def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """Tell a client that does not speak HTTP, if it still listens."""
        if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            message = f"cannot read the request: {error}"
            status = error.error_status_hint
            response = error_response(BadRequest(message))
            headers = (("Connection", "close"),)
            await self._send_whole(Response(status, response.body, response.content_type, headers))

    async def _stream_answer(self, answer: Streamed) -> None:
        sink = _Sink(self._send, answer)
        try:
            await self._while_connected(answer.write, sink)
        except Gone:
            raise
        except Exception as error:
            if sink.begun:
                log.exception("an answer was broken off")
                raise Gone from error
            await self._send_whole(error_response(error))
            return
        await sink.begin()
        await self._send(h11.EndOfMessage())

    async def _while_connected(self, run: Callable[[Target], Awaitable[None]], target: Target) -> None:
        """Run until it is done, or until the client is gone: then raise Gone."""
        failure: Exception | None = Gone()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_when_gone, nursery.cancel_scope)
            try:
                await run(target)
                failure = None
            except Exception as error:  # noqa: BLE001 - carried out of the nursery, which would wrap it
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _cancel_when_gone(self, scope: trio.CancelScope) -> None:
        """An epoll with an empty interest set still reports EPOLLHUP: both directions are closed (epoll_ctl(2))."""
        with select.epoll() as hangup:
            hangup.register(self._stream.socket.fileno(), 0)
            await trio.lowlevel.wait_readable(hangup.fileno())
        scope.cancel()

    async def _give_away(self, answer: Hijacked, *, upgrade: bool) -> bool:
        """Let the route have the stream; True if it failed before it took it, and was answered."""
        async for _ in self._body():
            pass
        trailing, _ = self._http.trailing_data
        duplex = _Duplex(self._stream, trailing, upgrade=upgrade)
        try:
            await self._while_connected(answer.run, duplex)
        except (Gone, trio.BrokenResourceError):
            raise Gone from None
        except Exception as error:
            if duplex.begun:
                log.exception("a hijacked connection was broken off")
                raise Gone from error
            await self._send_whole(error_response(error))
            return await self._reusable()
        return False


class _Sink:
    """Sends a chunked answer (RFC 9112, 7.1); the head with the first chunk, or before it."""

    def __init__(self, send: Callable[[h11.Event], Awaitable[None]], answer: Streamed) -> None:
        self._send = send
        self._answer = answer
        self.begun = False

    async def begin(self) -> None:
        """Send the head, once."""
        if not self.begun:
            self.begun = True
            headers = [*_headers(self._answer.content_type), ("Transfer-Encoding", "chunked")]
            await self._send(h11.Response(status_code=self._answer.status, headers=headers))

    async def send(self, data: bytes) -> None:
        """Send one chunk; an empty one would end the answer, and is left out."""
        await self.begin()
        if data:
            await self._send(h11.Data(data=data))


class _Duplex:
    """A connection that is given away, with what had come behind the request."""

    def __init__(self, stream: trio.SocketStream, early: bytes, *, upgrade: bool) -> None:
        self._stream = stream
        self._early = early
        self._upgrade = upgrade
        self.begun = False

    async def begin(self, content_type: str) -> None:
        """Send the head: 101 to those who asked for an upgrade, else 200 without a length (docker's old way)."""
        self.begun = True
        headers = _headers(content_type)
        if self._upgrade:
            head = _raw_head("101 UPGRADED", [("Connection", "Upgrade"), ("Upgrade", "tcp"), *headers])
        else:
            head = _raw_head("200 OK", headers)
        await self._stream.send_all(head)

    async def receive_some(self) -> bytes:
        """What the client sent; b"" once it has closed its writing side."""
        if self._early:
            early, self._early = self._early, b""
            return early
        return bytes(await self._stream.receive_some(RECEIVE))

    async def send_all(self, data: bytes) -> None:
        """Send to the client."""
        await self._stream.send_all(data)


def _headers(content_type: str) -> list[tuple[str, str]]:
    return [*COMMON, ("Content-Type", content_type)] if content_type else list(COMMON)


def _raw_head(status: str, headers: Sequence[tuple[str, str]]) -> bytes:
    """The head of an answer after which the connection is no longer HTTP; h11 has no part in that."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("ascii")


def _wants_upgrade(head: h11.Request) -> bool:
    return any(name == b"connection" and b"upgrade" in value.lower() for name, value in head.headers)
