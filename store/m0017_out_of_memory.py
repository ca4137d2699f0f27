"""Runs that the kernel ended for want of memory say so, too, from before this was written of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0017_out_of_memory"


def apply(db: Database) -> None:
    """By the rule of engine/containers/outcome.py: nobody asked for the end, and it is that of an OOM kill."""
    db.execute(
        "UPDATE run SET ended_by = 'oom' WHERE ended_by = 'itself' AND oom_killed = 1 AND exit_code = 137"
    )
