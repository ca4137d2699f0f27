"""What a client needs to go on after the engine was started anew: pysup's own extension of docker's streams.

With ``resumable=1`` output comes in frames that have the position behind them, a terminal's output, too, and the
last frame says that it is the last. A client that reads no such end asks again, with ``resume=POSITION`` (and
``run=N``, from the head of the first answer, where it was attached to a run). Docker ignores all three.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from pysup.supervisor.api.streams import END
from pysup.supervisor.api.wire import Request
from pysup.supervisor.errors import BadRequest
from pysup.supervisor.logs.lines import Mark

POSITIONED = "application/vnd.pysup.positioned-stream"
POSITION = "Pysup-Position"
"""The header with the position before the first frame, or event."""
RUN = "Pysup-Run"
"""The header with the number of the run that a client is attached to."""
_HEAD = struct.Struct(">B3xIQIB7x")
"""Docker's head of a frame; then the mark behind the frame: offset, entries after it, streams within a line."""
_MARK = re.compile(r"(\d{1,18})\.(\d{1,9})\.([0-7])", re.ASCII)


class Resumption(NamedTuple):
    """Where a client was."""

    mark: Mark
    run: int


def is_resumable(request: Request) -> bool:
    """Whether the client can go on by positions."""
    return request.query.flag("resumable")


def resumption(request: Request) -> Resumption | None:
    """Where the client wants to go on; None: from the beginning. Raises BadRequest."""
    text = request.query.text("resume")
    if not text:
        return None
    found = _MARK.fullmatch(text)
    if found is None:
        raise BadRequest(f"cannot resume: {text[:64]!r} is not a position")
    return Resumption(Mark(*map(int, found.groups())), request.query.integer("run"))


def positioned(stream: int, data: bytes, mark: Mark) -> bytes:
    """A frame with the mark behind it."""
    return _HEAD.pack(stream, len(data), *mark) + data


def last_frame(told: bytes = b"") -> bytes:
    """After it nothing comes. ``told``: a document about the end."""
    return positioned(END, told, Mark(0))


def position_header(mark: Mark) -> tuple[str, str]:
    """The position before the first frame."""
    return POSITION, ".".join(map(str, mark))
