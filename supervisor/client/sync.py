"""The synchronous transport: a socket for each exchange, and nothing imported that a command can do without."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterable, Iterator
from typing import Any

from pysup.supervisor.client import core
from pysup.supervisor.client.core import Frames, ProtocolError, Query, Response
from pysup.supervisor.errors import Unavailable

RECEIVE = 256 << 10


class Client:
    """A daemon's API. Every call may raise what core.error_of() makes of the answer, and Unavailable."""

    def __init__(self, address: str) -> None:
        self._shown = address
        self._address = core.parse_address(address)
        self._kept: socket.socket | None = None

    def close(self) -> None:
        """Close the connection that is kept for the next call."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    # -- whole answers ---------------------------------------------------------------------------------------

    def get(self, path: str, *, query: Query = None) -> Any:  # noqa: ANN401 - JSON
        """The document at a path."""
        return self._call("GET", path, query, None)

    def post(self, path: str, body: object = None, *, query: Query = None) -> Any:  # noqa: ANN401 - JSON
        """The answer to a command; None if it has no content."""
        return self._call("POST", path, query, body)

    def delete(self, path: str, *, query: Query = None) -> Any:  # noqa: ANN401 - JSON
        """The answer to a removal."""
        return self._call("DELETE", path, query, None)

    def _call(self, method: str, path: str, query: Query, body: object) -> Any:  # noqa: ANN401 - JSON
        sock = self._connect()
        response = Response()
        sock.sendall(core.request(method, path, query=query, body=body))
        content = b"".join(_pieces(sock, response))
        self._keep(sock, response)
        _raise_for(response, content)
        return core.document_of(content)

    def _connect(self) -> socket.socket:
        """The connection of the last whole answer, if the daemon has not closed it, else a new one."""
        kept, self._kept = self._kept, None
        if kept is not None:
            if _is_quiet(kept):
                return kept
            kept.close()
        return self._open()

    def _keep(self, sock: socket.socket, response: Response) -> None:
        if response.headers.get("connection", "").lower() == "close" or response.rest:
            sock.close()
        else:
            self._kept = sock

    def _open(self) -> socket.socket:
        address = self._address
        try:
            if not address.path:
                return socket.create_connection((address.host, address.port))
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(address.path)
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            cause = error.strerror or str(error)
            raise Unavailable(f"cannot connect to the daemon at {self._shown}: {cause}") from None
        return sock

    # -- answers that take their time ------------------------------------------------------------------------

    @contextlib.contextmanager
    def _begun(
        self, method: str, path: str, query: Query, body: object = None, *, upgrade: bool = False
    ) -> Iterator[Opened]:
        with self._open() as sock:
            if isinstance(body, Iterator):
                sock.sendall(core.request(method, path, query=query, chunked=True))
                _send_chunks(sock, body)
            else:
                sock.sendall(core.request(method, path, query=query, body=body, upgrade=upgrade))
            opened = Opened(sock)
            opened.read_head()
            yield opened

    @contextlib.contextmanager
    def stream(self, method: str, path: str, *, query: Query = None) -> Iterator[Iterator[tuple[int, bytes]]]:
        """Output as (1 stdout | 2 stderr, bytes), as it comes."""
        with self._begun(method, path, query) as opened:
            frames = Frames(multiplexed=opened.multiplexed)
            yield (found for piece in opened.pieces() for found in frames.feed(piece))

    def stream_json(
        self, method: str, path: str, *, query: Query = None, body: Iterable[bytes] | None = None
    ) -> Iterator[Any]:
        """The documents of a stream of JSON lines; ``body`` is sent in chunks before."""
        with self._begun(method, path, query, None if body is None else iter(body)) as opened:
            line = b""
            for piece in opened.pieces():
                *whole, line = (line + piece).split(b"\n")
                yield from (json.loads(text) for text in whole if text.strip())
            if line.strip():
                yield json.loads(line)

    @contextlib.contextmanager
    def wait(self, container: str, condition: str) -> Iterator[Waiting]:
        """A wait that nothing can be missed by once this has been entered."""
        query = {"condition": condition}
        with self._begun("POST", f"/containers/{container}/wait", query) as opened:
            yield Waiting(opened)

    @contextlib.contextmanager
    def hijack(self, path: str, body: object = None, *, query: Query = None) -> Iterator[Stream]:
        """A connection that the daemon has given away to a process's streams."""
        with self._begun("POST", path, query, body, upgrade=True) as opened:
            yield Stream(opened)


class Opened:
    """A response whose body is still to come."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.response = Response()
        self._early: list[bytes] = []

    def read_head(self) -> None:
        """Wait for the head. Raises what an error answer tells of."""
        while not self.response.status:
            self._early += self.response.feed(self.sock.recv(RECEIVE))
        if self.response.status >= 300:  # noqa: PLR2004 - not a success
            _raise_for(self.response, b"".join(self.pieces()))

    @property
    def multiplexed(self) -> bool:
        """Whether stdout and stderr come in frames."""
        return self.response.headers.get("content-type", "") == core.MULTIPLEXED

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes."""
        yield from self._early
        self._early = []
        yield from _pieces(self.sock, self.response)


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
        self._sock = opened.sock
        self._sock.setblocking(False)  # noqa: FBT003 - socket's own signature
        self._frames = Frames(multiplexed=opened.multiplexed)
        self._early = self._frames.feed(opened.response.rest)

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
        except ConnectionResetError:
            data = b""
        if not data:
            return early or None
        return early + self._frames.feed(data)

    def send_some(self, data: bytes) -> int:
        """Send as much as can be sent without waiting."""
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0

    def close_write(self) -> None:
        """No more input comes; output still does."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)


def _pieces(sock: socket.socket, response: Response) -> Iterator[bytes]:
    while not response.complete:
        yield from response.feed(sock.recv(RECEIVE))


def _send_chunks(sock: socket.socket, body: Iterator[bytes]) -> None:
    """A daemon that refuses the upload may close before it is all sent: its answer is what counts."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for piece in body:
            if piece:
                sock.sendall(core.chunk(piece))
        sock.sendall(core.chunk(b""))


def _is_quiet(sock: socket.socket) -> bool:
    """Whether a kept connection is still open: nothing is there to be read, not even its end."""
    try:
        sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _raise_for(response: Response, content: bytes) -> None:
    if response.status >= 300 and response.status != core.NOT_MODIFIED:  # noqa: PLR2004 - not a success
        raise core.error_of(response.status, content)


__all__ = ["Client", "ProtocolError", "Stream", "Waiting"]
