"""One connection: requests one after the other, each answered whole, in chunks, or by giving the stream away."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import h11
import trio

from pysup.supervisor.api.errors import error_response, message_response
from pysup.supervisor.api.places import Places
from pysup.supervisor.api.router import split_version
from pysup.supervisor.api.sending import ChunkedSink, RawDuplex, response_head
from pysup.supervisor.api.transport import RECEIVE, RECEIVE_MUCH, Gone, Transport, departed
from pysup.supervisor.api.wire import Answer, Hijacked, Query, Request, Response, Streamed
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.errors import BadRequest, Forbidden

log = logging.getLogger(__name__)

MAX_HEAD = 64 << 10
"""Bytes of a request line with its headers."""
IDLE_WITHIN = 600.0
"""Seconds that a connection may rest between two requests: each takes one of MAX_CONNECTIONS places."""
HEAD_WITHIN = 60.0
"""Seconds from the first byte of a request to the end of its headers."""
SEND_WITHIN = 60.0
"""Seconds that a client may take to read an answer that is whole. Streams wait for as long as it likes (Ctrl-S)."""
MAX_DRAIN = 1 << 20
"""Bytes of a body that no route wanted which are still read to keep the connection."""
DRAIN_WITHIN = 5.0
"""Seconds for that."""
_TIMEOUT, _TOO_LARGE, _HEAD_TOO_LARGE = 408, 413, 431
_NO_BODY = frozenset({204, 304})


class Connection:
    """Serves one client until it leaves."""

    def __init__(
        self,
        transport: Transport,
        app: Callable[[Request], Awaitable[Answer]],
        caller: Caller,
        places: Places,
    ) -> None:
        self._transport = transport
        self._app = app
        self._caller = caller
        self._places = places
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)

    async def serve(self) -> None:
        """Answer requests until the client leaves or its stream is given away."""
        with suppress(Gone):
            while await self._serve_request():
                self._http.start_next_cycle()

    async def _serve_request(self) -> bool:
        """Answer one request; False if the connection is over."""
        try:
            head = await self._next_head()
        except h11.RemoteProtocolError as error:
            await self._refuse(error.error_status_hint, str(error))
            return False
        if not isinstance(head, h11.Request):
            return False
        answer = await self._answer(head)
        head_only = head.method == b"HEAD"
        if isinstance(answer, Hijacked):
            return await self._give_away(answer, upgrade=_wants_upgrade(head))
        if isinstance(answer, Streamed):
            await self._stream_answer(answer, head_only=head_only)
        else:
            await self._send_whole(answer, head_only=head_only)
        return await self._reusable()

    async def _answer(self, head: h11.Request) -> Answer:
        try:
            _refuse_browsers(head)
            return await self._app(self._request(head))
        except Exception as error:
            if departed(error):
                raise Gone from error
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
            lambda: _Body(self._next_piece),
            version,
        )

    # -- reading ---------------------------------------------------------------------------------------------

    async def _next_head(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next request's head. A client may rest for a while, but not stop in the middle of one. Raises Gone."""
        if not self._http.trailing_data[0]:
            with trio.move_on_after(IDLE_WITHIN) as patience:
                await self._receive()
            if patience.cancelled_caught:
                raise Gone
        with trio.move_on_after(HEAD_WITHIN):
            while (event := self._parsed_head()) is h11.NEED_DATA:
                await self._receive()
            return event
        await self._refuse(_TIMEOUT, f"its head was not complete after {HEAD_WITHIN:g} s")
        raise Gone

    def _parsed_head(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """h11 bounds a head that is not complete yet; one that came in few pieces may be larger."""
        held = len(self._http.trailing_data[0])
        event = self._http.next_event()
        if isinstance(event, h11.Request) and held - len(self._http.trailing_data[0]) > MAX_HEAD:
            raise h11.RemoteProtocolError(f"its head is larger than {MAX_HEAD} bytes", _HEAD_TOO_LARGE)
        return event

    async def _next_event(self, most: int = RECEIVE) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            await self._ask_for_body()
            await self._receive(most)
        return event

    async def _receive(self, most: int = RECEIVE) -> None:
        """Wait for the client to go on. Raises Gone if its place was needed meanwhile."""
        with self._places.waiting() as scope:
            self._http.receive_data(await self._transport.receive_some(most))
        if scope.cancelled_caught:
            raise Gone

    async def _ask_for_body(self) -> None:
        """A client may wait for leave to send its body (Expect: 100-continue, RFC 9110, 10.1.1)."""
        if self._http.they_are_waiting_for_100_continue:
            await self._send([h11.InformationalResponse(status_code=100, headers=[])])

    async def _next_piece(self) -> bytes | None:
        """A piece of the request's body; None at its end. Raises BadRequest if it is not HTTP, or ends too early.

        The chunks that have come (docker's client makes them 32 KiB) are one piece: a piece costs more than its bytes.
        """
        if self._http.their_state is not h11.SEND_BODY:
            return None
        try:
            event = await self._next_event(RECEIVE_MUCH)
            if not isinstance(event, h11.Data):
                return None
            pieces = [event.data]
            while isinstance(event := self._http.next_event(), h11.Data):
                pieces.append(event.data)
        except h11.RemoteProtocolError as error:
            raise BadRequest(f"cannot read the request: {error}") from None
        return b"".join(pieces)

    async def _drained(self) -> bool:
        """Read what is left of a body that no route wanted, within reason; whether that was all."""
        left = MAX_DRAIN
        with suppress(BadRequest), trio.move_on_after(DRAIN_WITHIN):
            while left > 0 and (piece := await self._next_piece()) is not None:
                left -= len(piece)
        return self._http.their_state not in {h11.SEND_BODY, h11.ERROR}

    async def _reusable(self) -> bool:
        """Whether another request may follow. h11 notices the end of an empty body only when it is asked."""
        if self._http.our_state is not h11.DONE:
            return False
        if self._http.their_state is h11.SEND_BODY and not await self._drained():
            return False
        return self._http.their_state is h11.DONE

    # -- answering -------------------------------------------------------------------------------------------

    async def _send(self, events: list[h11.Event]) -> None:
        """In one packet, if there is anything to send."""
        if data := b"".join([self._http.send(event) or b"" for event in events]):
            await self._transport.send_all(data)

    async def _send_whole(self, answer: Response, *, head_only: bool = False) -> None:
        headers = list(answer.headers)
        if answer.status not in _NO_BODY:
            headers.append(("Content-Length", str(len(answer.body))))
        if self._http.they_are_waiting_for_100_continue or answer.status == _TOO_LARGE:
            # Whether the body still comes cannot be known, or it is not read: the connection ends with this answer.
            headers.append(("Connection", "close"))
        body = [h11.Data(data=answer.body)] if answer.body and not head_only else []
        head = response_head(answer.status, answer.content_type, *headers)
        with trio.move_on_after(SEND_WITHIN) as patience:
            await self._send([head, *body, h11.EndOfMessage()])
        if patience.cancelled_caught:
            raise Gone

    async def _refuse(self, status: int, cause: str) -> None:
        """Tell a client that does not speak HTTP, if it still listens."""
        told = message_response(f"cannot read the request: {cause}", status)
        if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            headers = (("Connection", "close"),)
            await self._send_whole(Response(status, told.body, told.content_type, headers))

    async def _stream_answer(self, answer: Streamed, *, head_only: bool) -> None:
        sink = ChunkedSink(self._send_part, answer, head_only=head_only)
        try:
            await self._transport.while_there(answer.write, sink, half_closes=False)
        except Gone:
            raise
        except Exception as error:
            if sink.begun:
                log.exception("an answer was broken off")
                raise Gone from error
            await self._send_whole(error_response(error), head_only=head_only)
            return
        await sink.end()

    async def _send_part(self, events: list[h11.Event]) -> None:
        """A streamed answer may begin before its request's body is read (an import): so leave comes first."""
        await self._ask_for_body()
        await self._send(events)

    async def _give_away(self, answer: Hijacked, *, upgrade: bool) -> bool:
        """Let the route have the stream; True if it failed before it took it, and was answered."""
        if not await self._drained():
            await self._refuse(400, "the body of a request that takes the connection over must be whole")
            return False
        trailing, _ = self._http.trailing_data
        duplex = RawDuplex(self._transport, trailing, upgrade=upgrade)
        try:
            await self._transport.while_there(answer.run, duplex, half_closes=True)
        except Gone:
            raise
        except Exception as error:
            if duplex.begun:
                log.exception("a hijacked connection was broken off")
                raise Gone from error
            await self._send_whole(error_response(error))
            return await self._reusable()
        return False


class _Body:
    """An iterator, not a generator: a route may stop reading without closing it."""

    def __init__(self, next_piece: Callable[[], Awaitable[bytes | None]]) -> None:
        self._next_piece = next_piece

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._next_piece()
        if piece is None:
            raise StopAsyncIteration
        return piece


def _refuse_browsers(head: h11.Request) -> None:
    """Where a port of loopback is served, a page of anybody's could send commands to it: the Origin tells it."""
    if any(name == b"origin" for name, _ in head.headers):
        raise Forbidden("cannot answer: the request comes from a page in a browser (it has an Origin)")


def _wants_upgrade(head: h11.Request) -> bool:
    return any(name == b"connection" and b"upgrade" in value.lower() for name, value in head.headers)
