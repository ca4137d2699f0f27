"""A daemon that plays what a test tells it: for each connection, the bytes to answer with, and how it ends."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

WITHIN = 10.0


class Scene(NamedTuple):
    """One connection."""

    answer: bytes
    ending: str = "close"
    """close, reset (ECONNRESET), or stay: until the client has closed its end."""


class Played:
    """What the clients did."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.left = threading.Event()
        """A client closed its end of a connection that stays."""


@contextmanager
def playing(*scenes: Scene) -> Iterator[tuple[str, Played]]:
    """Its address; all scenes must have been played at the end."""
    played = Played()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(WITHIN)
        thread = threading.Thread(target=_play, args=(listener, scenes, played))
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{listener.getsockname()[1]}", played
        finally:
            thread.join()
    assert len(played.requests) == len(scenes)


def _play(listener: socket.socket, scenes: Sequence[Scene], played: Played) -> None:
    for scene in scenes:
        try:
            client, _ = listener.accept()
        except TimeoutError:
            return
        with client:
            client.settimeout(WITHIN)
            played.requests.append(_request(client))
            client.sendall(scene.answer)
            if scene.ending == "stay":
                with suppress(OSError):
                    while client.recv(4096):
                        pass
                played.left.set()
            if scene.ending == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _request(client: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data and (piece := client.recv(1)):  # a client may leave before it has asked
        data += piece
    head = data.lower()
    if b"content-length: " in head:
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while length > 0:
            data += (piece := client.recv(length))
            length -= len(piece)
    return data
