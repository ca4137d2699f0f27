"""Detach keys: ``ctrl-p,ctrl-q`` and the watch for them in what is typed."""

from __future__ import annotations

from pysup.supervisor.cli.flags import UsageError

DEFAULT = "ctrl-p,ctrl-q"

_CONTROL = {f"ctrl-{chr(letter)}": bytes([letter - 96]) for letter in range(ord("a"), ord("z") + 1)} | {
    "ctrl-@": b"\x00",
    "ctrl-[": b"\x1b",
    "ctrl-\\": b"\x1c",
    "ctrl-]": b"\x1d",
    "ctrl-^": b"\x1e",
    "ctrl-_": b"\x1f",
}
_DEL = "DEL"


def parse(keys: str) -> bytes:
    """The bytes of a sequence such as ``ctrl-p,x`` (moby/term ascii.go). Raises UsageError."""
    return b"".join(_key(key, keys) for key in (keys or DEFAULT).split(","))


def _key(key: str, keys: str) -> bytes:
    if len(key) == 1 and key.isascii():
        return key.encode()
    found = b"\x7f" if key == _DEL else _CONTROL.get(key.lower())
    if found is None:
        raise UsageError(
            f"cannot parse the arguments: invalid detach keys ({keys}): unknown character: {key!r}"
        )
    return found


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
