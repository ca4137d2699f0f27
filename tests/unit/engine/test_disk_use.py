"""Whose a blob or layer is."""

from __future__ import annotations

from pathlib import Path
from sqlite3 import Connection

from pysup.store import blobs, images
from pysup.store.blobs import Blob
from pysup.store.database import open_or_create
from pysup.supervisor.engine.disk_use import parts_of_images

FIRST, SECOND = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def add(conn: Connection, image_id: str) -> None:
    images.insert(conn, id=image_id, config={}, layers=("layer",), size=0, created_at=1)
    blobs.attach(conn, image_id, "layer", [Blob(image_id, 1, "type")])


def test_an_image_that_has_come_since_the_rows_were_read_is_left_out(tmp_path: Path) -> None:
    conn = open_or_create(str(tmp_path / "pysup.db"))
    add(conn, FIRST)
    rows = images.list_images(conn)
    add(conn, SECOND)
    assert parts_of_images(conn, rows) == {FIRST: {"layers/layer", f"blobs/sha256/{FIRST[7:]}"}}
    conn.close()
