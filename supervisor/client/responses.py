"""The parser of one HTTP/1.1 response, without any I/O (RFC 9112).

Why not h11 here: importing it takes 45 ms, and ``pysup ps`` as a whole takes 60. What a client needs of HTTP is
small and fixed, because the server at the other end is known.
"""

from __future__ import annotations

from pysup.supervisor.errors import PysupError, Unavailable

NOT_MODIFIED = 304
MAX_HEAD = 256 << 10
_UPGRADED = 101
_OK = 200
_NO_BODY = frozenset({204, NOT_MODIFIED})


class ProtocolError(PysupError):
    """The other end does not speak HTTP as a daemon does."""


class Lost(Unavailable):
    """The daemon closed the connection in the middle of an exchange: it was killed, or is being started anew."""

    def __init__(self) -> None:
        super().__init__("cannot reach the daemon: it closed the connection")


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
        self._closes = False
        """The connection is not for another exchange: its end is that of this answer, or comes after it."""

    @property
    def upgraded(self) -> bool:
        """Whether the connection is a raw stream from here on."""
        return self.status == _UPGRADED

    @property
    def reusable(self) -> bool:
        """Whether the connection may have another exchange: this answer ended by itself, with nothing behind it."""
        if not self.complete or self.upgraded or self.rest:
            return False
        return not self._closes and self.headers.get("connection", "").lower() != "close"

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes from the connection; b"" is its end. Raises ProtocolError, Lost."""
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
            self.complete = self._closes = True
        elif not self.complete:
            raise Lost

    # The head

    def _parse_head(self, data: bytes) -> bytes:
        """Take the head, if all of it is there; what follows it."""
        while (end := data.find(b"\r\n\r\n")) >= 0:
            lines = data[:end].decode("latin-1").split("\r\n")
            data = data[end + 4 :]
            status = _status(lines[0])
            if status >= _OK or status == _UPGRADED:  # others are interim: 100 Continue
                self._closes = lines[0].startswith("HTTP/1.0")  # RFC 9112, 9.3
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
