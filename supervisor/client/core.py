"""HTTP/1.1 as a client speaks it, without any I/O: requests to bytes, bytes to responses, errors to classes.

Why not h11 here: importing it takes 45 ms, and ``pysup ps`` as a whole takes 60. What a client needs of HTTP is
small and fixed, because the server at the other end is known. Source: RFC 9112.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

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
_OK = 200
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
    if not query:
        return API + path
    # 3 ms, with ipaddress behind it: `pysup ps` can do without.
    from urllib.parse import urlencode  # noqa: PLC0415

    return f"{API}{path}?{urlencode(query)}"


def segment(name: str) -> str:
    """A name as one segment of a path: whatever is in it, it names one thing of one kind."""
    if name.isascii() and name.isalnum():
        return name
    from urllib.parse import quote  # noqa: PLC0415 - as above

    return quote(name, safe="")


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

    def __init__(self, method: str = "GET") -> None:
        self.status = 0
        """0 until the head is complete."""
        self.headers: dict[str, str] = {}
        """Names in lower case."""
        self.complete = False
        self.rest = b""
        """What came behind the end of the response (of its head, if the connection was given away)."""
        self._head_only = method == "HEAD"
        self._buffer = b""
        """What cannot be understood before more has come: of a head or of a chunk's frame, never of a body."""
        self._left: int | None = None
        """Bytes of the body, or of the chunk, that are still to come; None: until the end, or no chunk begun."""
        self._chunked = False
        self._in_trailer = False

    @property
    def upgraded(self) -> bool:
        """Whether the connection is a raw stream from here on."""
        return self.status == _UPGRADED

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes from the connection; b"" is its end. Raises ProtocolError."""
        if not data:
            self._on_end()
            return []
        data, self._buffer = self._buffer + data, b""
        if not self.status:
            data = self._parse_head(data)
        if self.upgraded or self.complete:
            self.rest += data
            return []
        if not self.status or not data:
            return []
        return self._parse_chunks(data) if self._chunked else self._parse_plain(data)

    def _on_end(self) -> None:
        if self.status and self._left is None and not self._chunked:
            self.complete = True
        elif not self.complete:
            raise ProtocolError("cannot read the daemon's answer: it ended too early")

    # The head

    def _parse_head(self, data: bytes) -> bytes:
        """Take the head, if all of it is there; what follows it."""
        while (end := data.find(b"\r\n\r\n")) >= 0:
            lines = data[:end].decode("latin-1").split("\r\n")
            data = data[end + 4 :]
            status = _status(lines[0])
            if status >= _OK or status == _UPGRADED:  # others are interim: 100 Continue
                self._begin(status, lines[1:])
                return data
        if len(data) > MAX_HEAD:
            raise ProtocolError("cannot read the daemon's answer: its head is too long")
        self._buffer = data
        return b""

    def _begin(self, status: int, lines: list[str]) -> None:
        """What the body will be like (RFC 9112, 6.3)."""
        self.status = status
        fields = (line.partition(":") for line in lines)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        length = self.headers.get("content-length")
        self._chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        if status in _NO_BODY or self._head_only:
            self.complete = True
        elif length is not None and not self._chunked:
            self._left = _number(length, 10, "its length is not a number")
            self.complete = self._left == 0

    # The body

    def _parse_plain(self, data: bytes) -> list[bytes]:
        if self._left is None:
            return [data]
        taken, self.rest = data[: self._left], data[self._left :]
        self._left -= len(taken)
        self.complete = self._left == 0
        return [taken]

    def _parse_chunks(self, data: bytes) -> list[bytes]:
        """By position, not by cutting off the front: many small chunks would copy the rest again and again."""
        pieces: list[bytes] = []
        at = 0
        while not self.complete:
            if self._left:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                pieces += [piece] if piece else []
            end = data.find(b"\r\n", at)
            if self._left or end < 0:
                break
            self._on_frame_line(data[at:end])
            at = end + 2
        self._keep(data[at:])
        return pieces

    def _on_frame_line(self, line: bytes) -> None:
        """One of the lines between the chunks' bytes: the end of a chunk, a size, a trailer field, the last."""
        if self._left is None:
            self._left = _number(line.partition(b";")[0].decode("latin-1").strip(), 16, "a chunk has no size")
            self._in_trailer = self._left == 0
        elif self._in_trailer:
            self.complete = not line
        elif line:
            raise ProtocolError("cannot read the daemon's answer: a chunk is longer than its size")
        else:
            self._left = None

    def _keep(self, data: bytes) -> None:
        if self.complete:
            self.rest = data
        elif len(data) > MAX_HEAD:
            raise ProtocolError("cannot read the daemon's answer: a line between chunks is too long")
        else:
            self._buffer = data


def _status(line: str) -> int:
    words = line.split(" ", 2)
    if not words[0].startswith("HTTP/1.") or len(words) < 2 or len(words[1]) != 3:  # noqa: PLR2004
        raise ProtocolError("cannot read the daemon's answer: it is not HTTP")
    return _number(words[1], 10, "its status is not a number")


def _number(text: str, base: int, wrong: str) -> int:
    """Digits and nothing else: int() itself takes signs, spaces and underscores."""
    if not (0 < len(text) < 16 and text.isascii() and text.isalnum()):  # noqa: PLR2004 - below 2**63
        raise ProtocolError(f"cannot read the daemon's answer: {wrong}")
    try:
        return int(text, base)
    except ValueError:
        raise ProtocolError(f"cannot read the daemon's answer: {wrong}") from None


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
