"""The synchronous transport: a socket for each exchange, and nothing imported that a command can do without.

``socket`` itself takes 5 ms to import, ``_socket`` under it nothing.
"""

from __future__ import annotations

import _socket
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pysup.supervisor.client import core
from pysup.supervisor.client.core import Query
from pysup.supervisor.client.opened import Opened, Output, Stream, Waiting, pieces_of, raise_for, send
from pysup.supervisor.client.responses import Response
from pysup.supervisor.errors import Unavailable


class Client:
    """A daemon's API. Every call may raise what core.error_of() makes of the answer, Unavailable, and Lost."""

    def __init__(self, address: str) -> None:
        self._kept: _socket.socket | None = None
        self._shown = address
        self._address = core.parse_address(address)

    def close(self) -> None:
        """Close the connection that is kept for the next call."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def __del__(self) -> None:
        self.close()  # a command's client lives for one call

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
        data = core.request(method, path, query=query, body=body)
        response = Response()
        with self._connection(response) as sock:
            send(sock, data)
            content = b"".join(pieces_of(sock, response))
        raise_for(response, content)
        return core.document_of(content)

    @contextlib.contextmanager
    def _connection(self, response: Response) -> Iterator[_socket.socket]:
        """A connection, kept for the next call if it is at the end of this answer and may have another."""
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(contextlib.closing(self._connect()))
            yield sock
            if response.reusable:
                stack.pop_all()
                self.close()
                self._kept = sock

    def _connect(self) -> _socket.socket:
        """The connection that is kept, if the daemon has not closed it, else a new one."""
        kept, self._kept = self._kept, None
        if kept is not None:
            if _is_quiet(kept):
                return kept
            kept.close()
        return self._open()

    def _open(self) -> _socket.socket:
        address = self._address
        if address.path and not hasattr(_socket, "AF_UNIX"):
            raise Unavailable(
                f"cannot connect to the daemon at {self._shown}: this platform has no unix sockets; "
                "name one by tcp://HOST:PORT"
            )
        try:
            if not address.path:
                return _open_tcp(address, self._shown)
            sock = _socket.socket(_socket.AF_UNIX)
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
        self,
        method: str,
        path: str,
        query: Query,
        body: object = None,
        *,
        upgrade: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Opened]:
        in_chunks = isinstance(body, Iterator)
        content = None if in_chunks else body
        data = core.request(
            method, path, query=query, body=content, upgrade=upgrade, chunked=in_chunks, headers=headers
        )
        response = Response(method)
        with self._connection(response) as sock:
            send(sock, data)
            if isinstance(body, Iterator):
                _send_chunks(sock, body)
            opened = Opened(sock, response)
            opened.read_head()
            yield opened

    @contextlib.contextmanager
    def stream(self, method: str, path: str, *, query: Query = None) -> Iterator[Output]:
        """Output as it comes."""
        with self._begun(method, path, query) as opened:
            yield Output(opened)

    @contextlib.contextmanager
    def lines(self, path: str, *, query: Query = None) -> Iterator[Opened]:
        """An answer of JSON lines whose head is of interest, too; read it by documents()."""
        with self._begun("GET", path, query) as opened:
            yield opened

    @contextlib.contextmanager
    def exchange(
        self, method: str, path: str, *, query: Query = None, body: Iterator[bytes] | None = None
    ) -> Iterator[Opened]:
        """An answer whose head is of interest, too, and whose body may be big; ``body`` is sent in chunks before."""
        with self._begun(method, path, query, body) as opened:
            yield opened

    def stream_json(
        self,
        method: str,
        path: str,
        *,
        query: Query = None,
        body: Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Any]:
        """The documents of a stream of JSON lines; ``body`` is sent in chunks before."""
        content = None if body is None else iter(body)
        with self._begun(method, path, query, content, headers=headers) as opened:
            yield from opened.documents()

    @contextlib.contextmanager
    def wait(self, container: str, condition: str, run: str = "") -> Iterator[Waiting]:
        """A wait that nothing can be missed by once this has been entered; ``run``: for the end of that run."""
        query = {"condition": condition} | ({"run": run} if run else {})
        with self._begun("POST", core.container_path(container, "wait"), query) as opened:
            yield Waiting(opened)

    def run(self, body: object, *, query: Query = None) -> Iterator[Any]:
        """Create, start and, with a ``condition`` in the query, wait: the documents of POST /pysup/run."""
        with self._begun("POST", "/pysup/run", query, body) as opened:
            yield from opened.documents()

    @contextlib.contextmanager
    def hijack(self, path: str, body: object = None, *, query: Query = None) -> Iterator[Stream]:
        """A connection that the daemon has given away to a process's streams."""
        with self._begun("POST", path, query, body, upgrade=True) as opened:
            yield Stream(opened)


def _open_tcp(address: core.Address, shown: str) -> _socket.socket:
    if address.tls is not None:
        from pysup.supervisor.client import tls  # noqa: PLC0415

        return tls.connect(address.host, address.port, address.tls, shown)
    import socket  # noqa: PLC0415

    return socket.create_connection((address.host, address.port))


def _send_chunks(sock: _socket.socket, body: Iterator[bytes]) -> None:
    for piece in body:
        if piece and not send(sock, core.chunk(piece)):
            return
    send(sock, core.chunk(b""))


def _is_quiet(sock: _socket.socket) -> bool:
    """Whether a kept connection is still open: nothing is there to be read, not even its end."""
    sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
    try:
        sock.recv(1, _socket.MSG_PEEK)
    except BlockingIOError:
        sock.setblocking(True)  # noqa: FBT003
        return True
    except OSError:
        return False
    return False
