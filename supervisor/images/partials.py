"""Beginnings of blobs whose download broke off (content.py): which are old, and their removal. Everything blocks."""

from __future__ import annotations

import contextlib
import os

from pysup.supervisor.images.content import BLOBS, PARTIAL


def untouched_since(images: str, time: float) -> list[str]:
    """Those to which nothing was added since (seconds since the epoch), by the name that the whole blob would have."""
    with os.scandir(os.path.join(images, PARTIAL)) as entries:
        return [f"{BLOBS}/{entry.name}" for entry in entries if entry.stat().st_mtime < time]


def oldest(images: str) -> int | None:
    """When something was last added to the one that was left longest (nanoseconds since the epoch)."""
    with os.scandir(os.path.join(images, PARTIAL)) as entries:
        return min((entry.stat().st_mtime_ns for entry in entries), default=None)


def remove(images: str, name: str) -> int:
    """Remove one, if it is there; the bytes that it had."""
    path = os.path.join(images, PARTIAL, os.path.basename(name))
    with contextlib.suppress(FileNotFoundError):
        size = os.stat(path).st_size
        os.unlink(path)
        return size
    return 0
