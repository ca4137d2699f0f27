"""Images by their content: blobs as they came, layers that images share, digests as names, platforms.

A migration is history: change the schema by adding one, not by editing this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0003_images"

_COLUMNS = (
    "ALTER TABLE image ADD COLUMN manifest_digest TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE image ADD COLUMN os TEXT NOT NULL DEFAULT 'linux'",
    "ALTER TABLE image ADD COLUMN architecture TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE image ADD COLUMN variant TEXT NOT NULL DEFAULT ''",
    "UPDATE image SET architecture = coalesce(json_extract(config, '$.architecture'), '')",
)

BLOB = """
CREATE TABLE blob (
    digest TEXT NOT NULL PRIMARY KEY CHECK (digest LIKE 'sha256:%'),
    size INTEGER NOT NULL,
    media_type TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID
"""

IMAGE_BLOB = """
CREATE TABLE image_blob (
    image_id TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('manifest', 'config', 'layer')),
    position INTEGER NOT NULL DEFAULT 0,
    digest TEXT NOT NULL REFERENCES blob (digest),
    PRIMARY KEY (image_id, role, position)
) STRICT, WITHOUT ROWID
"""

IMAGE_DIGEST = """
CREATE TABLE image_digest (
    repository TEXT NOT NULL CHECK (repository <> ''),
    digest TEXT NOT NULL CHECK (digest LIKE 'sha256:%'),
    image_id TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID
"""

LAYER = """
CREATE TABLE layer (
    name TEXT NOT NULL PRIMARY KEY,
    size INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""

_FILL = """
INSERT OR IGNORE INTO layer (name, size)
SELECT json_extract(layers, '$[0]'), size FROM image
WHERE json_array_length(layers) = 1 AND json_extract(layers, '$[0]') <> '/'
"""

INDEXES = (
    "CREATE INDEX image_blob_digest ON image_blob (digest)",
    "CREATE INDEX image_digest_image ON image_digest (image_id)",
)


def apply(db: Database) -> None:
    """Images made before this have one layer, which was imported, or are the host's root."""
    for statement in (*_COLUMNS, BLOB, IMAGE_BLOB, IMAGE_DIGEST, LAYER, _FILL, *INDEXES):
        db.execute(statement)
