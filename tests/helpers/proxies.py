"""A proxy for TLS on the loopback interface (CONNECT, RFC 9110, 9.3.6), which remembers where it was asked to lead."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from . import own_network


class Proxy:
    """``with Proxy() as proxy``."""

    def __init__(self) -> None:
        own_network.enter()
        self.asked: list[str] = []
        """``host:port``, each time."""
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_CONNECT(self) -> None:
        """Bytes both ways, until either side has no more."""
        self.server.proxy.asked.append(self.path)
        host, _, port = self.path.rpartition(":")
        try:
            other = socket.create_connection((host, int(port)))
        except OSError:
            return self.send_error(502)
        with other:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_copy, args=(other, self.connection))
            back.start()
            _copy(self.connection, other)
            back.join()
        self.close_connection = True
        return None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Nobody reads it."""


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side has had enough
