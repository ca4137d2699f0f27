"""Rows of containers, for tests that need no store, and for tests of the store."""

from __future__ import annotations

import json
from dataclasses import replace
from sqlite3 import Connection
from typing import Any

from pysup.store import containers
from pysup.store.containers import Container
from pysup.supervisor.spec.from_docker import normalise
from pysup.supervisor.spec.network import with_default

SECOND = 10**9
NOW = 1_800_000_000 * SECOND
ID = "0123456789abcdef" * 4


def container(body: dict[str, Any] | None = None, **columns: Any) -> Container:
    """A running container of the host image; ``body``: docker's create body."""
    made = normalise(with_default({"Image": "host", "Cmd": ["true"], **(body or {})}, "none"), {})
    plain = Container(
        id=ID,
        name="web",
        image_id="sha256:" + "1" * 64,
        image_ref="host",
        state="running",
        desired="run",
        stopped_by_hand=False,
        created_at=NOW - 4000 * SECOND,
        started_at=NOW - 180 * SECOND,
        finished_at=None,
        removed_at=None,
        exit_code=None,
        error="",
        failed_step="",
        oom_killed=False,
        run_number=1,
        pid=42,
        retries=0,
        last_delay=0.0,
        recent_restarts=(),
        next_start_at=None,
        gave_up_reason=None,
        config=json.dumps(made.config),
        host_config=json.dumps(made.host_config),
    )
    return replace(plain, **columns)


def insert(
    conn: Connection, container_id: str, name: str, *, image_id: str = "sha256:1", created_at: int = 1
) -> None:
    """A container that was only created."""
    containers.insert(
        conn,
        id=container_id,
        name=name,
        image_id=image_id,
        image_ref="host",
        config={"Cmd": ["true"]},
        host_config={},
        created_at=created_at,
    )
