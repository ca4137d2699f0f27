"""The first schema, as it was. A migration is history: change the schema by adding one, not by editing this.

STRICT tables, so that a column holds what it says; CHECKs on every word that code compares; foreign keys.
An index costs one more page of WAL for each write that touches it, so there is one only where a lookup on
the hot path or a promise (a unique name) needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

NAME = "0001_foundation"

CONTAINER = """
CREATE TABLE container (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 64),
    name TEXT NOT NULL CHECK (name <> ''),
    image_id TEXT NOT NULL DEFAULT '',
    image_ref TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'created' CHECK (state IN
        ('created', 'starting', 'running', 'paused', 'stopping', 'backoff', 'exited', 'removed')),
    desired TEXT NOT NULL DEFAULT 'rest' CHECK (desired IN ('run', 'stop', 'rest')),
    stopped_by_hand INTEGER NOT NULL DEFAULT 0 CHECK (stopped_by_hand IN (0, 1)),
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    removed_at INTEGER CHECK ((removed_at IS NOT NULL) = (state = 'removed')),
    exit_code INTEGER,
    error TEXT NOT NULL DEFAULT '',
    failed_step TEXT NOT NULL DEFAULT '',
    oom_killed INTEGER NOT NULL DEFAULT 0 CHECK (oom_killed IN (0, 1)),
    run_number INTEGER NOT NULL DEFAULT 0,
    pid INTEGER NOT NULL DEFAULT 0,
    retries INTEGER NOT NULL DEFAULT 0,
    last_delay REAL NOT NULL DEFAULT 0,
    recent_restarts TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(recent_restarts)),
    next_start_at INTEGER,
    gave_up_reason TEXT,
    config TEXT NOT NULL CHECK (json_valid(config)),
    host_config TEXT NOT NULL CHECK (json_valid(host_config))
) STRICT
"""

RUN = """
CREATE TABLE run (
    container_id TEXT NOT NULL REFERENCES container (id) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number > 0),
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    pid INTEGER NOT NULL DEFAULT 0,
    exit_code INTEGER,
    signal INTEGER NOT NULL DEFAULT 0,
    oom_killed INTEGER NOT NULL DEFAULT 0 CHECK (oom_killed IN (0, 1)),
    cause TEXT NOT NULL CHECK (cause IN ('manual', 'policy', 'boot')),
    asked_by TEXT NOT NULL DEFAULT '',
    ended_by TEXT CHECK (ended_by IN
        ('itself', 'stop', 'restart', 'kill', 'timeout', 'oom', 'shutdown', 'lost')),
    error TEXT NOT NULL DEFAULT '',
    failed_step TEXT NOT NULL DEFAULT '',
    cpu_ns INTEGER NOT NULL DEFAULT 0,
    memory_peak INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (container_id, number)
) STRICT, WITHOUT ROWID
"""

EVENT = """
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    type TEXT NOT NULL CHECK (type <> ''),
    action TEXT NOT NULL CHECK (action <> ''),
    actor_id TEXT NOT NULL,
    attributes TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(attributes)),
    caller_uid INTEGER NOT NULL DEFAULT 0,
    caller_pid INTEGER NOT NULL DEFAULT 0
) STRICT
"""

IMAGE = """
CREATE TABLE image (
    id TEXT NOT NULL PRIMARY KEY CHECK (id LIKE 'sha256:%'),
    layers TEXT NOT NULL CHECK (json_valid(layers)),
    size INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    config TEXT NOT NULL CHECK (json_valid(config))
) STRICT
"""

IMAGE_TAG = """
CREATE TABLE image_tag (
    repository TEXT NOT NULL CHECK (repository <> ''),
    tag TEXT NOT NULL CHECK (tag <> ''),
    image_id TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    PRIMARY KEY (repository, tag)
) STRICT, WITHOUT ROWID
"""

EXEC = """
CREATE TABLE exec (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 64),
    container_id TEXT NOT NULL REFERENCES container (id) ON DELETE CASCADE,
    run_number INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'created' CHECK (state IN ('created', 'running', 'exited')),
    pid INTEGER NOT NULL DEFAULT 0,
    exit_code INTEGER,
    error TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    process TEXT NOT NULL CHECK (json_valid(process))
) STRICT
"""

DAEMON_START = """
CREATE TABLE daemon_start (
    id INTEGER PRIMARY KEY,
    started_at INTEGER NOT NULL,
    stopped_at INTEGER,
    version TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    pid INTEGER NOT NULL,
    cause TEXT NOT NULL CHECK (cause IN ('start', 'engine', 'upgrade'))
) STRICT
"""

INDEXES = (
    # Names are unique among the containers that are not removed; several removed ones may share one.
    "CREATE UNIQUE INDEX container_name ON container (name) WHERE state <> 'removed'",
    "CREATE INDEX container_removed ON container (name, removed_at) WHERE state = 'removed'",
    # `ps` without -a, and what a new engine has to look at; containers at rest are not in it.
    "CREATE INDEX container_active ON container (state)"
    " WHERE state IN ('starting', 'running', 'paused', 'stopping', 'backoff')",
    "CREATE INDEX container_image ON container (image_id)",
    "CREATE INDEX run_unfinished ON run (container_id) WHERE ended_at IS NULL",
    "CREATE INDEX event_time ON event (time)",
    "CREATE INDEX exec_container ON exec (container_id)",
    "CREATE INDEX image_tag_image ON image_tag (image_id)",
)


def apply(db: Database) -> None:
    """Create every table and index. CHECKs and partial indexes are more than create_table() can say."""
    for statement in (CONTAINER, RUN, EVENT, IMAGE, IMAGE_TAG, EXEC, DAEMON_START, *INDEXES):
        db.execute(statement)
