"""``ctrl-p,ctrl-q``: the keys that leave a container's terminal without ending it. Pure and light.

Source: moby/term ascii.go.
"""

from __future__ import annotations

DEFAULT = b"\x10\x11"
"""ctrl-p, ctrl-q"""

_CONTROL = {f"ctrl-{chr(letter)}": bytes([letter - 96]) for letter in range(ord("a"), ord("z") + 1)} | {
    "ctrl-@": b"\x00",
    "ctrl-[": b"\x1b",
    "ctrl-\\": b"\x1c",
    "ctrl-]": b"\x1d",
    "ctrl-^": b"\x1e",
    "ctrl-_": b"\x1f",
    "del": b"\x7f",
}


def parse_detach_keys(text: str) -> bytes:
    """The bytes of a sequence; those of ctrl-p,ctrl-q if it is empty. Raises ValueError."""
    return b"".join(_key(key, text) for key in text.split(",")) if text else DEFAULT


def _key(key: str, text: str) -> bytes:
    if len(key) == 1 and key.isascii():
        return key.encode()
    found = _CONTROL.get(key.lower())
    if found is None:
        raise ValueError(f"invalid detach keys {text[:64]!r}: unknown key {key[:16]!r}")
    return found
