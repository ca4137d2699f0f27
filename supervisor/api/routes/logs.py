"""GET /containers/{id}/logs: lines, in the order in which they were written, from a time or a count on."""

from __future__ import annotations

from pysup.supervisor.api.resumption import POSITIONED, is_resumable, last_frame, positioned, resumption
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes.attach import content_type
from pysup.supervisor.api.routes.moments import moment
from pysup.supervisor.api.streams import closing, frame
from pysup.supervisor.api.wire import Request, Sink, Streamed
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import BadRequest
from pysup.supervisor.logs.cursor import told
from pysup.supervisor.logs.follow import follow
from pysup.supervisor.logs.lines import Entry, Mark
from pysup.supervisor.logs.reader import Query
from pysup.supervisor.logs.records import GAP, STDERR, STDOUT
from pysup.supervisor.spec.timestamps import rfc3339_fixed

_STREAMS = {"stdout": STDOUT, "stderr": STDERR}


async def get_logs(engine: Engine, request: Request) -> Streamed:
    """The log of a container; of a removed one, too, while it is kept."""
    source = engine.logs(request.params["id"], follow=request.query.flag("follow"))
    details = source.details if request.query.flag("details") else None
    encoder = Encoder(timestamps=request.query.flag("timestamps"), details=details)
    query = _query(request, lines=encoder.by_line)
    coded = encoder.raw if source.tty else encoder.framed
    if query.marks:
        coded = encoder.positioned

    async def write(sink: Sink) -> None:
        await sink.begin()
        async with closing(follow(source.directory, source.feed, query)) as lots:
            async for entries in lots:
                await sink.send(b"".join(map(coded, entries)))
        if query.marks:
            await sink.send(last_frame())

    return Streamed(write, POSITIONED if query.marks else content_type(request, tty=source.tty))


def _query(request: Request, *, lines: bool) -> Query:
    streams = frozenset(number for name, number in _STREAMS.items() if request.query.flag(name))
    if not streams:
        raise BadRequest("cannot read logs: Bad parameters: you must choose at least one stream")
    resumed = resumption(request)
    return Query(
        since=moment(request, "since"),
        until=moment(request, "until"),
        tail=_tail(request.query.text("tail")),
        streams=streams,
        follow=request.query.flag("follow"),
        lines=lines,
        marks=is_resumable(request),
        resume=resumed and resumed.mark,
    )


def _tail(text: str) -> int | None:
    """``all``, or a count; what is neither means all, as in docker."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004


class Encoder:
    """How entries are sent: as they are, or line by line with a time and details (None: without) before each."""

    def __init__(self, *, timestamps: bool, details: str | None) -> None:
        self.by_line = timestamps or details is not None
        self._timestamps = timestamps
        self._details = b"" if details is None else f"{details} ".encode()
        self._continued: set[int] = set()

    def framed(self, entry: Entry) -> bytes:
        """In frames that name the stream, one for each line, as docker's clients expect. A gap is told on stderr:
        clients take any other for an error.
        """
        stream, data = STDERR if entry.stream == GAP else entry.stream, self.raw(entry)
        if data.find(b"\n", 0, -1) < 0:
            return frame(stream, data)
        *lines, last = data.split(b"\n")
        frames = [frame(stream, line + b"\n") for line in lines]
        return b"".join([*frames, frame(stream, last)] if last else frames)

    def positioned(self, entry: Entry) -> bytes:
        """In a frame that has the position behind it, a terminal's output, too."""
        stream = STDERR if entry.stream == GAP else entry.stream
        is_place_alone = not entry.data and entry.stream != GAP
        return positioned(stream, b"" if is_place_alone else self.raw(entry), entry.mark or Mark(0))

    def raw(self, entry: Entry) -> bytes:
        """As a terminal's output is sent."""
        if entry.stream == GAP:
            return self._prefix(entry) + told(entry.lost)
        prefix = b"" if entry.stream in self._continued else self._prefix(entry)
        (self._continued.add if entry.partial else self._continued.discard)(entry.stream)
        return prefix + entry.data

    def _prefix(self, entry: Entry) -> bytes:
        if not self._timestamps:
            return self._details
        return rfc3339_fixed(entry.time_ns).encode() + b" " + self._details


ROUTES = (Route("GET", "/containers/{id*}/logs", get_logs),)
