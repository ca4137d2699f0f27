"""Output as docker frames it (8 bytes of head: stream, length), and as pysup does: with the position behind it.

With positions (api/resumption.py), a client that was cut off goes on behind the last frame that it got whole.
"""

from __future__ import annotations

MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
POSITIONED = "application/vnd.pysup.positioned-stream"
_HEAD, _POSITIONED_HEAD = 8, 28
_END = 0
"""The stream number of the last frame."""


class Frames:
    """Takes the bytes of a stream apart; what is of another type than the two above is all standard output."""

    def __init__(self, content_type: str, position: str = "") -> None:
        self.position = position
        """Behind the frames that were given out: what ``resume=`` takes. Empty where there are no positions."""
        self.ended = content_type != POSITIONED
        """Whether an end of the connection is the end of the output: always, where there are no positions."""
        self.end = b""
        """What the last frame tells."""
        self._positioned = content_type == POSITIONED
        self._multiplexed = content_type == MULTIPLEXED
        self._head = _POSITIONED_HEAD if self._positioned else _HEAD
        self._buffer = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames that are complete now, as (1 stdout | 2 stderr, bytes)."""
        if not (self._multiplexed or self._positioned):
            return [(1, data)] if data else []
        data = self._buffer + data
        found: list[tuple[int, bytes]] = []
        at = 0
        while len(data) - at >= self._head:
            begin = at + self._head
            end = begin + int.from_bytes(data[at + 4 : at + _HEAD], "big")
            if len(data) < end:
                break
            if self._positioned:
                self._note(data[at:begin], data[begin:end])
            if not self.ended or self._multiplexed:
                found.append((data[at], data[begin:end]))
            at = end
        self._buffer = data[at:]
        return found

    def _note(self, head: bytes, data: bytes) -> None:
        if head[0] == _END:
            self.ended, self.end = True, data
            return
        offset, skip, opened = head[8:16], head[16:20], head[20]
        self.position = f"{int.from_bytes(offset, 'big')}.{int.from_bytes(skip, 'big')}.{opened}"
