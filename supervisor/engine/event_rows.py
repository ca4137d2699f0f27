"""One event row, with who asked for what it tells of."""

from __future__ import annotations

import time
from collections.abc import Mapping
from sqlite3 import Connection

from pysup.store import events
from pysup.supervisor.engine.callers import DAEMON, Caller


def note(  # the columns of an event
    conn: Connection,
    kind: str,
    action: str,
    actor_id: str,
    attributes: Mapping[str, str],
    *,
    caller: Caller = DAEMON,
    now_ns: int | None = None,
) -> None:
    """Write it, in the transaction of what it tells of. ``now_ns``: that one's time, if there is one already."""
    events.add(
        conn,
        time=time.time_ns() if now_ns is None else now_ns,
        type=kind,
        action=action,
        actor_id=actor_id,
        attributes=attributes,
        caller_uid=caller.uid,
        caller_pid=caller.pid,
        caller_gid=caller.gid,
        caller=caller.comm,
    )
