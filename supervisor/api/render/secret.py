"""A secret as the API shows it. No document here has a field for its value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pysup.store.secrets import Secret
from pysup.supervisor.spec.timestamps import rfc3339


def secret(row: Secret, users: Sequence[str]) -> dict[str, Any]:
    """``users``: ids of the containers that have it."""
    return {
        "Name": row.name,
        "CreatedAt": rfc3339(row.created_at),
        "Labels": row.labels,
        "UsedBy": list(users),
    }
