"""A TCP port that leads to a unix socket, as ``ssh -L`` makes one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def relay(path: Path) -> Iterator[int]:
    """The port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, str(path)))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listener: socket.socket, path: str) -> None:
    threads = []
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            break
        daemon = socket.socket(socket.AF_UNIX)
        daemon.connect(path)
        ends = ((client, daemon), (daemon, client))
        pair = [threading.Thread(target=_copy, args=each) for each in ends]
        closer = threading.Thread(target=_close, args=(pair, client, daemon))
        closer.start()
        threads.append(closer)
    for thread in threads:
        thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _close(pair: list[threading.Thread], *sockets: socket.socket) -> None:
    for thread in pair:
        thread.start()
    for thread in pair:
        thread.join()
    for each in sockets:
        each.close()
