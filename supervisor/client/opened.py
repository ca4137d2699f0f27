"""Answers of which the head is there and the body is still to come: documents, output, a process's streams."""

from __future__ import annotations

import _socket
import contextlib
import json
from collections.abc import Iterator
from typing import Any

from pysup.supervisor.client import core
from pysup.supervisor.client.frames import Frames
from pysup.supervisor.client.responses import NOT_MODIFIED, Lost, Response

RECEIVE = 256 << 10


class Opened:
    """A response whose body is still to come."""

    def __init__(self, sock: _socket.socket, response: Response) -> None:
        self.sock = sock
        self.response = response
        self._early: list[bytes] = []

    def read_head(self) -> None:
        """Wait for the head. Raises what an error answer tells of."""
        while not self.response.status:
            self._early += self.response.feed(receive(self.sock))
        if self.response.status >= 300:  # noqa: PLR2004 - not a success
            raise_for(self.response, b"".join(self.pieces()))

    def header(self, name: str) -> str:
        """A field of the head; empty if it is not there."""
        return self.response.headers.get(name, "")

    def frames(self) -> Frames:
        """What takes the body apart."""
        return Frames(self.header("content-type"), self.header("pysup-position"))

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes."""
        yield from self._early
        self._early = []
        yield from pieces_of(self.sock, self.response)

    def documents(self) -> Iterator[Any]:
        """The body's lines, of JSON."""
        line = b""
        for piece in self.pieces():
            *whole, line = (line + piece).split(b"\n")
            yield from (json.loads(text) for text in whole if text.strip())
        if line.strip():
            yield json.loads(line)


class Output:
    """A process's output. Iterate for (1 stdout | 2 stderr, bytes)."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._frames = opened.frames()

    @property
    def position(self) -> str:
        """Where to go on if the daemon is lost."""
        return self._frames.position

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        for piece in self._opened.pieces():
            yield from self._frames.feed(piece)
        if not self._frames.ended:
            raise Lost


class Waiting:
    """A wait that has begun."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def result(self) -> Any:  # noqa: ANN401 - JSON
        """Docker's answer: StatusCode, and Error if the waiting failed."""
        return core.document_of(b"".join(self._opened.pieces()))


class Stream:
    """A process's streams over one socket, for poll(2)."""

    def __init__(self, opened: Opened) -> None:
        self.run = opened.header("pysup-run")
        """The number of the container's run; empty if the daemon does not tell."""
        self.exec = opened.header("pysup-exec")
        """The id of the exec; empty if it is none."""
        self._sock = opened.sock
        self._sock.setblocking(False)  # noqa: FBT003 - socket's own signature
        self._frames = opened.frames()
        self._early = self._frames.feed(opened.response.rest)

    @property
    def position(self) -> str:
        """Where to go on if the daemon is lost."""
        return self._frames.position

    @property
    def lost(self) -> bool:
        """At the end: whether the output was broken off."""
        return not self._frames.ended

    @property
    def end(self) -> Any:  # noqa: ANN401 - JSON
        """At the end: the document about it; None if there is none."""
        return core.document_of(self._frames.end)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    def take_early(self) -> list[tuple[int, bytes]]:
        """What came together with the head, and will not wake a poll."""
        early, self._early = self._early, []
        return early

    def receive(self) -> list[tuple[int, bytes]] | None:
        """What has come, perhaps nothing yet; None at the end."""
        early = self.take_early()
        try:
            data = self._sock.recv(RECEIVE)
        except BlockingIOError:
            return early
        except OSError:
            data = b""
        if not data:
            return early or None
        return early + self._frames.feed(data)

    def send_some(self, data: bytes) -> int:
        """Send as much as can be sent without waiting. Raises Lost: reading will say more."""
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            raise Lost from None

    def close_write(self) -> None:
        """No more input comes; output still does."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(_socket.SHUT_WR)


def send(sock: _socket.socket, data: bytes) -> bool:
    """All of it; whether it was taken. A daemon that refuses may close before that: what it answers is what counts."""
    try:
        sock.sendall(data)
    except OSError:
        return False
    return True


def receive(sock: _socket.socket) -> bytes:
    """What has come; b"" at the end. Raises Lost for a hard one (ECONNRESET)."""
    try:
        return sock.recv(RECEIVE)
    except OSError:
        raise Lost from None


def pieces_of(sock: _socket.socket, response: Response) -> Iterator[bytes]:
    """The body of a response, as it comes."""
    while not response.complete:
        yield from response.feed(receive(sock))


def raise_for(response: Response, content: bytes) -> None:
    """Raise what an answer tells of, if it is an error."""
    if response.status >= 300 and response.status != NOT_MODIFIED:  # noqa: PLR2004 - not a success
        raise core.error_of(response.status, content)
