"""The watch for the detach keys in what is typed."""

from __future__ import annotations

from pysup.supervisor.cli.flags import UsageError
from pysup.supervisor.spec.detach_keys import parse_detach_keys


def parse(keys: str) -> bytes:
    """The bytes of ``ctrl-p,ctrl-q`` and the like. Raises UsageError."""
    try:
        return parse_detach_keys(keys)
    except ValueError as error:
        raise UsageError(f"cannot parse the arguments: {error}") from None


class Watch:
    """Looks for the sequence in a stream of bytes that comes in pieces."""

    __slots__ = ("_keys", "_tail")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._tail = b""

    def seen(self, data: bytes) -> bool:
        """Whether the sequence is complete with these bytes."""
        stream = self._tail + data
        self._tail = stream[-(len(self._keys) - 1) :] if len(self._keys) > 1 else b""
        return self._keys in stream
