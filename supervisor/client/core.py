"""HTTP/1.1 as a client speaks it, without any I/O: requests to bytes, bytes to responses, errors to classes.

Why not h11 here: importing it takes 45 ms, and ``pysup ps`` as a whole takes 60. What a client needs of HTTP is
small and fixed, because the server at the other end is known. Source: RFC 9112.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pysup.supervisor.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    NotSupported,
    PysupError,
    Unavailable,
)

API = "/v1.47"
NOT_MODIFIED = 304
MAX_HEAD = 256 << 10
_UPGRADED = 101
_NO_BODY = frozenset({204, NOT_MODIFIED})
_FRAME = 8
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"

Query = Mapping[str, str] | None


class ProtocolError(PysupError):
    """The other end does not speak HTTP as a daemon does, or ended in the middle of an answer."""


class Address(NamedTuple):
    """Where a daemon is: a unix socket's path, or a host and port."""

    path: str = ""
    host: str = ""
    port: int = 0


def parse_address(text: str) -> Address:
    """``unix:///run/x.sock``, ``/run/x.sock``, ``tcp://host:port``. Raises BadRequest."""
    scheme, separator, rest = text.partition("://")
    if not separator and text.startswith("/"):
        return Address(text)
    if scheme == "unix" and rest.startswith("/"):
        return Address(rest)
    if scheme in {"tcp", "http"}:
        host, _, port = rest.rstrip("/").rpartition(":")
        if host and port.isascii() and port.isdigit():
            return Address(host=host.strip("[]"), port=int(port))
    raise BadRequest(f"cannot connect to {text!r}: it is not unix:///PATH, /PATH or tcp://HOST:PORT")


# -- requests ------------------------------------------------------------------------------------------------


def target(path: str, query: Query) -> str:
    """The request target: version, path and query."""
    return f"{API}{path}?{urlencode(query)}" if query else API + path


def request(
    method: str,
    path: str,
    *,
    query: Query = None,
    body: object = None,
    upgrade: bool = False,
    chunked: bool = False,
) -> bytes:
    """The bytes of a request with a JSON body, none, or one that follows in chunks (see chunk())."""
    content = b"" if body is None else json.dumps(body).encode()
    headers = [f"{method} {target(path, query)} HTTP/1.1", "Host: pysup", "User-Agent: pysup"]
    if upgrade:
        headers += ["Connection: Upgrade", "Upgrade: tcp"]
    if chunked:
        headers += ["Content-Type: application/x-tar", "Transfer-Encoding: chunked"]
    elif body is not None:
        headers += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    elif method in {"POST", "PUT"}:
        headers.append("Content-Length: 0")
    return "\r\n".join([*headers, "", ""]).encode() + content


def chunk(data: bytes) -> bytes:
    """One piece of a chunked body; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


# -- responses -----------------------------------------------------------------------------------------------


class Response:
    """The parser of one response. Feed it bytes; it gives back the pieces of the body as they are there."""

    def __init__(self) -> None:
        self.status = 0
        """0 until the head is complete."""
        self.headers: dict[str, str] = {}
        """Names in lower case."""
        self.complete = False
        self.rest = b""
        """What came behind the end of the response (of its head, if the connection was given away)."""
        self._buffer = b""
        self._left: int | None = None
        self._chunked = False

    @property
    def upgraded(self) -> bool:
        """Whether the connection is a raw stream from here on."""
        return self.status == _UPGRADED

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes from the connection; b"" is its end. Raises ProtocolError."""
        if not data:
            self._on_end()
            return []
        self._buffer += data
        if not self.status and not self._parse_head():
            return []
        if self.upgraded or self.complete:
            self.rest, self._buffer = self.rest + self._buffer, b""
            return []
        return list(self._parse_chunks() if self._chunked else self._parse_plain())

    def _on_end(self) -> None:
        if self.status and self._left is None and not self._chunked:
            self.complete = True
        elif not self.complete:
            raise ProtocolError("cannot read the daemon's answer: it ended too early")

    def _parse_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise ProtocolError("cannot read the daemon's answer: its head is too long")
            return False
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        self._buffer = self._buffer[end + 4 :]
        words = lines[0].split(" ", 2)
        if not words[0].startswith("HTTP/1.") or len(words) < 2 or not words[1].isdigit():  # noqa: PLR2004
            raise ProtocolError("cannot read the daemon's answer: it is not HTTP")
        if words[1] == "100":
            return self._parse_head()
        self.headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:])
        }
        self.status = int(words[1])
        self._begin_body()
        return True

    def _begin_body(self) -> None:
        self._chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        length = self.headers.get("content-length")
        if self.status in _NO_BODY or length == "0":
            self.complete = True
        elif length is not None and not self._chunked:
            if not (length.isascii() and length.isdigit()):
                raise ProtocolError("cannot read the daemon's answer: its length is not a number")
            self._left = int(length)

    def _parse_plain(self) -> Iterator[bytes]:
        data, self._buffer = self._buffer, b""
        if self._left is None:
            if data:
                yield data
            return
        taken, self.rest = data[: self._left], data[self._left :]
        self._left -= len(taken)
        self.complete = self._left == 0
        if taken:
            yield taken

    def _parse_chunks(self) -> Iterator[bytes]:
        while not self.complete and (line_end := self._buffer.find(b"\r\n")) >= 0:
            size = _chunk_size(self._buffer[:line_end])
            begin = line_end + 2
            if len(self._buffer) < begin + size + 2:
                return
            data = self._buffer[begin : begin + size]
            self._buffer = self._buffer[begin + size + 2 :]
            if size:
                yield data
            else:
                self.complete = True
                self.rest, self._buffer = self._buffer, b""


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.split(b";")[0], 16)
    except ValueError:
        raise ProtocolError("cannot read the daemon's answer: a chunk has no size") from None


# -- errors --------------------------------------------------------------------------------------------------

_CLASSES: dict[int, type[PysupError]] = {
    400: BadRequest,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    501: NotSupported,
}


def error_of(status: int, body: bytes) -> PysupError:
    """The error that an answer tells of; ``exit_code`` is set on it where the daemon named one."""
    try:
        document = json.loads(body)
        message = str(document["message"])
    except (ValueError, KeyError, TypeError):
        document, message = {}, body.decode("utf-8", "replace").strip() or f"status {status}"
    error = _CLASSES.get(status, Unavailable)(message)
    if isinstance(document.get("exit_code"), int):
        error.exit_code = document["exit_code"]  # type: ignore[attr-defined]
    return error


def document_of(body: bytes) -> Any:  # noqa: ANN401 - JSON
    """The JSON of a body; None if it is empty."""
    return json.loads(body) if body.strip() else None


# -- streams -------------------------------------------------------------------------------------------------


class Frames:
    """Docker's stdout and stderr in one stream: 8 bytes of head (stream, length), then the payload."""

    def __init__(self, *, multiplexed: bool) -> None:
        self._multiplexed = multiplexed
        self._buffer = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames that are complete now; without multiplexing everything is stdout."""
        if not self._multiplexed:
            return [(1, data)] if data else []
        self._buffer += data
        found = []
        at = 0
        while len(self._buffer) - at >= _FRAME:
            length = int.from_bytes(self._buffer[at + 4 : at + _FRAME], "big")
            if len(self._buffer) - at - _FRAME < length:
                break
            found.append((self._buffer[at], self._buffer[at + _FRAME : at + _FRAME + length]))
            at += _FRAME + length
        self._buffer = self._buffer[at:]
        return found
