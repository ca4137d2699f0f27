"""Answers that were given before: decoding and encoding a packet takes ten times as long as finding it here. Pure."""

from __future__ import annotations

from pysup.supervisor.network.names.zone import Zone

_MOST, _LONGEST = 256, 512
"""Answers, and bytes of a question and of an answer: what a container can make grow has a bound."""
_TRUNCATED = 0x02


class Known:
    """The answers to one container, by the question without its id; forgotten when what it sees changes."""

    def __init__(self) -> None:
        self._state: object = None
        self._answers: dict[bytes, bytes] = {}

    def find(self, packet: bytes, zone: Zone) -> bytes | None:
        """The answer to this packet."""
        state = zone.state()
        if state != self._state:
            self._state = state
            self._answers.clear()
        found = self._answers.get(packet[2:])
        return None if found is None else packet[:2] + found

    def keep(self, packet: bytes, answer: bytes) -> None:
        """Remember one that was made of the zone that find() saw last, if it is the same each time.

        One with several records is not: they take turns.
        """
        if max(len(packet), len(answer)) > _LONGEST or _records(answer) > 1 or answer[2] & _TRUNCATED:
            return
        if len(self._answers) >= _MOST:
            self._answers.clear()
        self._answers[packet[2:]] = answer[2:]


def _records(answer: bytes) -> int:
    """ANCOUNT (RFC 1035, 4.1.1)."""
    return int.from_bytes(answer[6:8], "big")
