"""What routes take and give back: a request, and one of three kinds of answer. No socket is seen here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol
from urllib.parse import parse_qs

import trio

from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.errors import BadRequest, TooLarge
from pysup.supervisor.nesting import check_depth

JSON = "application/json"
MAX_JSON = 16 << 20
"""Bytes of a JSON body; streams (an import) have no bound but the disk."""
JSON_WITHIN = 60.0
"""Seconds for a JSON body; a stream may rest for as long as its source does."""
_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
"""What fits into 64 bits, as everywhere below (SQLite, the kernel)."""
_FALSE = frozenset({"", "0", "no", "false", "none"})
"""Docker's idea of false in a query (moby api/server/httputils/form.go)."""


class Query:
    """The query of a URL. Where a name comes more than once, the last one counts."""

    def __init__(self, text: str) -> None:
        self._values = parse_qs(text, keep_blank_values=True)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def values(self, name: str) -> list[str]:
        """All values of a name."""
        return self._values.get(name, [])

    def text(self, name: str, default: str = "") -> str:
        """The value as it is."""
        values = self._values.get(name)
        return values[-1] if values else default

    def flag(self, name: str, default: bool = False) -> bool:  # noqa: FBT001, FBT002 - as dict.get
        """A boolean as docker reads it."""
        return self.text(name).strip().lower() not in _FALSE if name in self else default

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number. Raises BadRequest."""
        text = self.text(name)
        if not text:
            return default
        if not _WHOLE_NUMBER.fullmatch(text):
            raise BadRequest(f"cannot read the query: {name}={text[:64]!r} is not a whole number")
        return int(text)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, its path already matched."""

    method: str
    path: str
    """Without the version."""
    query: Query
    headers: Mapping[str, str]
    """Names in lower case."""
    caller: Caller
    body: Callable[[], AsyncIterator[bytes]]
    version: tuple[int, int]
    """The API version that was asked for."""
    params: Mapping[str, str] = field(default_factory=dict)
    """The values of the route's pattern, percent-decoded."""

    @property
    def upgrade(self) -> bool:
        """Whether the client asks for the connection itself (Connection: Upgrade)."""
        return "upgrade" in self.headers.get("connection", "").lower()

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        return self.body()

    async def json(self) -> Any:  # noqa: ANN401 - JSON
        """The body; {} if there is none. Raises BadRequest for another content type or no JSON, TooLarge.

        One that is announced to be too large is refused before anything of it is read, or asked for.
        """
        _refuse_too_large(int(self.headers.get("content-length") or 0))
        with trio.move_on_after(JSON_WITHIN) as patience:
            content = await self._whole_body()
        if patience.cancelled_caught:
            raise BadRequest(f"cannot read the request: its body was not complete after {JSON_WITHIN:g} s")
        if not content:
            return {}
        self._check_type()
        return _parse(content)

    async def _whole_body(self) -> bytes:
        content = bytearray()
        async for chunk in self.body():
            content += chunk
            _refuse_too_large(len(content))
        return bytes(content)

    def _check_type(self) -> None:
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != JSON:
            raise BadRequest(
                f"cannot read the request: unsupported Content-Type header ({kind}): must be '{JSON}'"
            )


def _refuse_too_large(size: int) -> None:
    if size > MAX_JSON:
        raise TooLarge(f"cannot read the request: the body is larger than {MAX_JSON} bytes")


def _parse(content: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        document = json.loads(content, parse_constant=_refuse_constant, parse_float=_finite)
        check_depth(document)
        if rb"\ud" in content.lower():
            # Half of a surrogate pair: Python's str takes it, no encoding and no SQLite does.
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"cannot read the request: the body is not JSON: {error}") from None
    return document


def _refuse_constant(name: str) -> NoReturn:
    """Python's own extension of JSON: NaN and the infinities."""
    raise ValueError(f"{name} is not a value")


def _finite(text: str) -> float:
    """1e999 would be an infinity."""
    value = float(text)
    return value if math.isfinite(value) else _refuse_constant(text)


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = ""
    headers: Sequence[tuple[str, str]] = ()


def json_response(value: object, status: int = 200) -> Response:
    """A JSON document."""
    return Response(status, json.dumps(value, separators=(",", ":")).encode() + b"\n", JSON)


def empty(status: int = 204) -> Response:
    """No content."""
    return Response(status)


class Sink(Protocol):
    """Where a streamed answer goes."""

    async def begin(self, *headers: tuple[str, str]) -> None:
        """Send the head now, before there is any content."""

    async def send(self, data: bytes) -> None:
        """Send one chunk at once."""

    async def end(self, data: bytes = b"") -> None:
        """Send the last chunk, and with it the end, which else comes when ``write`` returns."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer that comes in chunks. The head goes with begin() or with the first send().

    An error that is raised before is an ordinary error answer; one that is raised after it breaks the
    connection off. ``write`` is cancelled when the client is gone.
    """

    write: Callable[[Sink], Awaitable[None]]
    content_type: str = JSON
    status: int = 200


class Duplex(Protocol):
    """A hijacked connection."""

    async def begin(self, content_type: str, *headers: tuple[str, str]) -> None:
        """Send the head: from here on the connection carries nothing but the streams."""

    async def receive_some(self) -> bytes:
        """What the client sent; b"" when it has closed its writing side (which is no disconnect)."""

    async def send_all(self, data: bytes) -> None:
        """Send to the client."""


@dataclass(frozen=True, slots=True)
class Hijacked:
    """The connection becomes a raw stream once ``run`` calls begin(); before that, errors are ordinary answers.

    So everything can be in place when the client sees the head: its next request may start the container.
    ``run`` is cancelled when the client is gone for good.
    """

    run: Callable[[Duplex], Awaitable[None]]


Answer = Response | Streamed | Hijacked
