"""A range of ids outlives its container while others share it (--userns container:X): one of those has it then."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0014_joined_ranges"

REMOVED = """
CREATE TRIGGER id_range_of_removed AFTER UPDATE OF state ON container WHEN NEW.state = 'removed'
BEGIN
    UPDATE id_range SET container_id = coalesce((
        SELECT c.id FROM container c
        WHERE c.state <> 'removed' AND json_extract(c.host_config, '$.Pysup.JoinedIds.Range.Start') = id_range.start
        ORDER BY c.created_at LIMIT 1
    ), container_id) WHERE container_id = NEW.id;
    DELETE FROM id_range WHERE container_id = NEW.id;
END
"""


def apply(db: Database) -> None:
    """Exchange the trigger that let a range go with its container."""
    db.execute("DROP TRIGGER id_range_of_removed")
    db.execute(REMOVED)
