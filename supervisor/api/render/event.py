"""An event row as docker's stream writes it (moby api/types/events Message)."""

from __future__ import annotations

from typing import Any

from pysup.store.events import Event

_BILLION = 10**9


def event_message(row: Event) -> dict[str, Any]:
    """One event, with the legacy fields that old clients read."""
    message = {
        "Type": row.type,
        "Action": row.action,
        "Actor": {"ID": row.actor_id, "Attributes": row.attributes},
        "scope": "local",
        "time": row.time // _BILLION,
        "timeNano": row.time,
    }
    return {**_legacy(row), **message}


def _legacy(row: Event) -> dict[str, str]:
    """Fields from before API 1.22: containers and images only."""
    if row.type == "container":
        return {"status": row.action, "id": row.actor_id, "from": row.attributes.get("image", "")}
    return {"status": row.action, "id": row.actor_id} if row.type == "image" else {}
