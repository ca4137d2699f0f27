"""What a flag's FILE, or standard input, has in it. A pipe will do (``--env-file <(decrypt)``), and so will /dev/null;
but not all has an end: /dev/zero has none.
"""

from __future__ import annotations

from typing import BinaryIO

LARGEST = 4 << 20
"""Bytes. More than any of them needs, and less than a request may have (api/wire.py)."""


def content(path: str) -> bytes:
    """All of it. Raises OSError, and ValueError for more than LARGEST."""
    with open(path, "rb") as file:
        return rest_of(file)


def text(path: str, encoding: str = "utf-8") -> str:
    """The same as text. Raises OSError, ValueError."""
    return content(path).decode(encoding)


def rest_of(file: BinaryIO) -> bytes:
    """What is left of an open one. Raises OSError, ValueError."""
    found = file.read(LARGEST + 1)
    if len(found) > LARGEST:
        raise ValueError(f"it has more than {LARGEST >> 20} MiB")
    return found
