"""The keeper's way to the engine: never blocks; what the socket has no room for waits in a queue."""

from __future__ import annotations

import _socket
import os
from collections import deque
from collections.abc import Sequence

from pysup.supervisor.keeper import codec
from pysup.supervisor.keeper.protocol import Message


class Outbox:
    """Messages in their order. A queued one holds duplicates of its descriptors: the entry may go before
    it.
    """

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock
        self._waiting: deque[tuple[bytes, list[int]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send now, or as soon as flush() finds room. For an engine that is gone it is dropped."""
        packet = codec.encode(message)
        if self._waiting or not self._send(packet, fds):
            self._waiting.append((packet, [os.dup(fd) for fd in fds]))

    def flush(self) -> None:
        """Send what waits, as far as there is room."""
        while self._waiting and self._send(*self._waiting[0]):
            codec.close_all(self._waiting.popleft()[1])

    def discard(self) -> None:
        """Drop what waits."""
        while self._waiting:
            codec.close_all(self._waiting.popleft()[1])

    def _send(self, packet: bytes, fds: Sequence[int]) -> bool:
        """False if there is no room."""
        try:
            codec.send_packet(self._sock, packet, fds)
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError):
            return True
        return True
