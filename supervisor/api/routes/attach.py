"""POST /containers/{id}/attach: a connection becomes the container's terminal, or its three streams."""

from __future__ import annotations

from pysup.supervisor.api.router import Route
from pysup.supervisor.api.streams import MULTIPLEXED, RAW, copy_both_ways
from pysup.supervisor.api.wire import Duplex, Hijacked, Request
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.errors import BadRequest
from pysup.supervisor.spec.detach_keys import parse_detach_keys

_NAMED_SINCE = (1, 42)
"""Before this API version, multiplexed streams were called raw, too."""


def content_type(request: Request, *, tty: bool) -> str:
    """A terminal's bytes are sent as they are, two streams in frames."""
    return RAW if tty or request.version < _NAMED_SINCE else MULTIPLEXED


async def attach_container(engine: Engine, request: Request) -> Hijacked:
    """Everything is in place before the 101: the client's next request may be the start."""
    query = request.query
    stdin, stream = query.flag("stdin"), query.flag("stream")
    container_id = engine.find(request.params["id"]).id

    async def run(duplex: Duplex) -> None:
        with engine.attach(container_id) as attachment:
            keys = detach_keys(request, tty=attachment.tty)
            await duplex.begin(content_type(request, tty=attachment.tty))
            chunks = attachment.chunks(
                stdout=query.flag("stdout"),
                stderr=query.flag("stderr"),
                logs=query.flag("logs"),
                stream=stream,
            )
            into = attachment if stdin and stream and attachment.has_stdin else None
            await copy_both_ways(duplex, chunks, into, tty=attachment.tty, keys=keys)

    return Hijacked(run)


def detach_keys(request: Request, *, tty: bool) -> bytes:
    """Only a terminal's input is watched for them."""
    try:
        return parse_detach_keys(request.query.text("detachKeys")) if tty else b""
    except ValueError as error:
        raise BadRequest(f"cannot attach: {error}") from None


ROUTES = (Route("POST", "/containers/{id}/attach", attach_container),)
