"""A proxy for TLS on the loopback interface (CONNECT, RFC 9110, 9.3.6), which remembers where it was asked to lead."""

from __future__ import annotations

import socket
import threading

from . import own_network
from .small_server import Quiet, SmallServer


class Proxy(SmallServer):
    """``with Proxy() as proxy``."""

    def __init__(self) -> None:
        own_network.enter()
        super().__init__(_Handler)
        self.asked: list[str] = []
        """``host:port``, each time."""
        self.url = f"http://{self.host}"


class _Handler(Quiet):
    server: Proxy

    def do_CONNECT(self) -> None:
        """Bytes both ways, until either side has no more."""
        self.server.asked.append(self.path)
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


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side has had enough
