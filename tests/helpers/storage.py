"""What a daemon keeps of images and volumes, seen from outside: its files and its rows."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from pathlib import Path
from typing import Any

_KINDS = ("blobs/sha256", "layers", "tmp")


def stored(root: Path) -> list[str]:
    """Every blob and layer, and whatever lies in tmp/: paths below ROOT/images."""
    images = root / "images"
    return sorted(str(path.relative_to(images)) for kind in _KINDS for path in (images / kind).iterdir())


def rows(root: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """The answer of the database, read-only."""
    with contextlib.closing(sqlite3.connect(f"file:{root}/pysup.db?mode=ro", uri=True)) as conn:
        return conn.execute(sql, values).fetchall()


def assert_sound(root: Path) -> None:
    """The database is whole, and only what is alive has a run that has not ended."""
    assert rows(root, "PRAGMA integrity_check") == [("ok",)]
    assert rows(root, "PRAGMA foreign_key_check") == []
    alive = "SELECT id FROM container WHERE state IN ('starting', 'running', 'paused', 'stopping')"
    assert (
        rows(root, f"SELECT * FROM run WHERE ended_at IS NULL AND container_id NOT IN ({alive})") == []  # noqa: S608
    )


def assert_whole(root: Path) -> None:
    """Rows and files agree: what is named is there and is what its name says, and nothing else is there."""
    assert_sound(root)
    blobs = {
        f"blobs/sha256/{digest.removeprefix('sha256:')}"
        for (digest,) in rows(root, "SELECT digest FROM blob")
    }
    layers = {f"layers/{name}" for (name,) in rows(root, "SELECT name FROM layer")}
    assert stored(root) == sorted(blobs | layers)
    for name in blobs:
        assert hashlib.sha256((root / "images" / name).read_bytes()).hexdigest() == name.rpartition("/")[2]
    assert rows(root, "SELECT digest FROM image_blob WHERE digest NOT IN (SELECT digest FROM blob)") == []
    used = "SELECT value FROM image, json_each(image.layers) WHERE value <> '/'"
    assert {f"layers/{name}" for (name,) in rows(root, used)} == layers
    volumes = {name for (name,) in rows(root, "SELECT name FROM volume")}
    assert {path.name for path in (root / "volumes").iterdir()} == volumes
