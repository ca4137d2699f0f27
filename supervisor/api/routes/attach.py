"""POST /containers/{id}/attach: a connection becomes the container's terminal, or its three streams."""

from __future__ import annotations

from functools import partial

from pysup.supervisor.api.resumption import (
    POSITIONED,
    RUN,
    Resumption,
    is_resumable,
    last_frame,
    position_header,
    positioned,
    resumption,
)
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.streams import MULTIPLEXED, RAW, Encode, copy_both_ways, frame, raw
from pysup.supervisor.api.wire import Duplex, Hijacked, Request
from pysup.supervisor.engine.containers.attachment import Attachment
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import BadRequest
from pysup.supervisor.logs.lines import Mark
from pysup.supervisor.spec.detach_keys import parse_detach_keys

_NAMED_SINCE = (1, 42)
"""Before this API version, multiplexed streams were called raw, too."""


def content_type(request: Request, *, tty: bool) -> str:
    """A terminal's bytes are sent as they are, two streams in frames."""
    return RAW if tty or request.version < _NAMED_SINCE else MULTIPLEXED


async def attach_container(engine: Engine, request: Request) -> Hijacked:
    """Everything is in place before the 101: the client's next request may be the start."""
    container_id = engine.roster.find(request.params["id"]).id
    resumed = resumption(request)
    if resumed is not None:
        resumed = resumed._replace(run=engine.followed_run(container_id, resumed.run))

    async def run(duplex: Duplex) -> None:
        with engine.attach(container_id, resumed and resumed.run) as attachment:
            if resumed is not None:
                _resume(engine, container_id, attachment, resumed)
            keys = detach_keys(request, tty=attachment.tty)
            if not is_resumable(request):
                await duplex.begin(content_type(request, tty=attachment.tty))
                await _copy(request, attachment, duplex, raw if attachment.tty else frame, keys)
                return
            begin = position_header(Mark(attachment.position))
            await duplex.begin(POSITIONED, (RUN, str(attachment.run)), begin)
            await _copy(request, attachment, duplex, partial(_positioned, attachment), keys)
            await duplex.send_all(last_frame())

    return Hijacked(run)


def _positioned(attachment: Attachment, stream: int, data: bytes) -> bytes:
    return positioned(stream, data, Mark(attachment.position))


def _resume(engine: Engine, container_id: str, attachment: Attachment, resumed: Resumption) -> None:
    ended = engine.ended_run(container_id, resumed.run)
    attachment.resume(resumed.mark.offset, None if ended is None else ended.ended_at)


async def _copy(
    request: Request, attachment: Attachment, duplex: Duplex, encode: Encode, keys: bytes
) -> None:
    query = request.query
    stdin, stream = query.flag("stdin"), query.flag("stream")
    chunks = attachment.chunks(
        stdout=query.flag("stdout"),
        stderr=query.flag("stderr"),
        logs=query.flag("logs"),
        stream=stream,
    )
    into = attachment if stdin and stream and attachment.has_stdin else None
    await copy_both_ways(duplex, chunks, into, encode=encode, keys=keys)


def detach_keys(request: Request, *, tty: bool) -> bytes:
    """Only a terminal's input is watched for them. Raises BadRequest, also without a terminal."""
    try:
        keys = parse_detach_keys(request.query.text("detachKeys"))
    except ValueError as error:
        raise BadRequest(f"cannot attach: {error}") from None
    return keys if tty else b""


ROUTES = (Route("POST", "/containers/{id*}/attach", attach_container),)
