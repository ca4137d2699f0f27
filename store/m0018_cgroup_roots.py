"""Where each start of the daemon had its cgroups: what a crash has left is found there, whatever the next one says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0018_cgroup_roots"


def apply(db: Database) -> None:
    """Empty: a start from before this was noted."""
    db.execute("ALTER TABLE daemon_start ADD COLUMN cgroup_root TEXT NOT NULL DEFAULT ''")
