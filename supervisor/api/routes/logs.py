"""GET /containers/{id}/logs: lines, in the order in which they were written, from a time or a count on."""

from __future__ import annotations

from collections.abc import Callable

from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes.attach import content_type
from pysup.supervisor.api.routes.moments import moment
from pysup.supervisor.api.streams import frame
from pysup.supervisor.api.wire import Request, Sink, Streamed
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import BadRequest
from pysup.supervisor.logs.follow import follow
from pysup.supervisor.logs.reader import Entry, Query
from pysup.supervisor.spec.timestamps import rfc3339_fixed

_STREAMS = {"stdout": 1, "stderr": 2}


async def get_logs(engine: Engine, request: Request) -> Streamed:
    """The log of a container; of a removed one, too, while it is kept."""
    query = _query(request)
    source = engine.logs(request.params["id"])
    coded = encoder(
        tty=source.tty, timestamps=request.query.flag("timestamps"), details=request.query.flag("details")
    )

    async def write(sink: Sink) -> None:
        await sink.begin()
        async for entry in follow(source.directory, source.feed, query):
            await sink.send(coded(entry))

    return Streamed(write, content_type(request, tty=source.tty))


def _query(request: Request) -> Query:
    streams = frozenset(number for name, number in _STREAMS.items() if request.query.flag(name))
    if not streams:
        raise BadRequest("cannot read logs: Bad parameters: you must choose at least one stream")
    return Query(
        since=moment(request, "since"),
        until=moment(request, "until"),
        tail=_tail(request.query.text("tail")),
        streams=streams,
        follow=request.query.flag("follow"),
    )


def _tail(text: str) -> int | None:
    """``all``, or a count; what is neither means all, as in docker."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004


def encoder(*, tty: bool, timestamps: bool, details: bool) -> Callable[[Entry], bytes]:
    """How an entry is sent: with its time, with (always empty) details, in a frame unless it is a terminal's."""
    blank = b" " if details else b""

    def encode(entry: Entry) -> bytes:
        stamp = rfc3339_fixed(entry.time_ns).encode() + b" " if timestamps else b""
        line = stamp + blank + entry.data
        return line if tty else frame(entry.stream, line)

    return encode


ROUTES = (Route("GET", "/containers/{id}/logs", get_logs),)
