"""What is old is forgotten when its time is over, and nobody looks before."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from types import SimpleNamespace
from typing import Any, cast

from helpers import rows

from pysup.store import containers, events, execs
from pysup.store.store import Store
from pysup.supervisor.engine.images.admission import Admissions
from pysup.supervisor.engine.retention import PARTIALS_KEPT, SECOND, forget_old
from pysup.supervisor.engine.trash import Trash
from pysup.supervisor.images import content
from pysup.supervisor.settings import Settings

NOW = 1_700_000_000
LOGS, EVENTS = 1000, 5000
"""Seconds that removed containers and events are kept."""
CONTAINER = "a" * 64


@asynccontextmanager
async def opened(root: Path, **kept: int) -> AsyncIterator[Any]:
    settings = Settings(root=str(root), **{"log_retention": LOGS, "event_retention": EVENTS, **kept})
    trash = Trash(str(root / "trash"))
    (root / "trash").mkdir(parents=True)
    (Path(settings.images_dir) / content.PARTIAL).mkdir(parents=True)
    async with Store.open(settings.database) as store:
        yield SimpleNamespace(
            settings=settings,
            store=store,
            trash=trash,
            images=SimpleNamespace(admissions=Admissions(store, settings.images_dir, trash)),
            now_ns=lambda: NOW * SECOND,
        )


async def seconds_to_next_look(parts: Any) -> int:
    return int(await forget_old(cast("Any", parts)))


def add_event(conn: Connection, age: int) -> None:
    events.add(conn, time=(NOW - age) * SECOND, type="daemon", action="x", actor_id="")


def add_removed(conn: Connection, age: int) -> None:
    rows.insert(conn, CONTAINER, "web")
    containers.update(conn, CONTAINER, state="removed", removed_at=(NOW - age) * SECOND)


def add_exec(conn: Connection, name: str, **columns: object) -> None:
    execs.insert(
        conn, id=name * 64, container_id=CONTAINER, run_number=1, process={}, created_at=(NOW - 900) * SECOND
    )
    execs.update(conn, name * 64, **columns)


async def test_with_nothing_there_the_next_look_is_when_something_new_may_be_old(tmp_path: Path) -> None:
    async with opened(tmp_path) as parts:
        assert await seconds_to_next_look(parts) == LOGS
    async with opened(tmp_path / "none", log_retention=0) as parts:
        assert await seconds_to_next_look(parts) == EVENTS


async def test_the_newest_event_is_never_due(tmp_path: Path) -> None:
    async with opened(tmp_path) as parts:
        await parts.store.write(partial(add_event, age=2 * EVENTS))
        assert await seconds_to_next_look(parts) == LOGS
        for age in (EVENTS - 7, 0):
            await parts.store.write(partial(add_event, age=age))
        assert await seconds_to_next_look(parts) == 7
        assert len(await parts.store.query(events.between)) == 2


async def test_a_removed_container_and_its_execs_are_due_in_their_turn(tmp_path: Path) -> None:
    async with opened(tmp_path) as parts:
        await parts.store.write(partial(add_removed, age=LOGS - 300))
        assert await seconds_to_next_look(parts) == 300
        await parts.store.write(partial(add_exec, name="b", state="exited", ended_at=(NOW - 800) * SECOND))
        assert await seconds_to_next_look(parts) == 200
        await parts.store.write(partial(add_exec, name="c"))
        assert await seconds_to_next_look(parts) == 100


async def test_what_is_over_goes_with_its_directory(tmp_path: Path) -> None:
    async with opened(tmp_path) as parts:
        await parts.store.write(partial(add_removed, age=LOGS + 1))
        logs = Path(parts.settings.container_dir(CONTAINER)) / "logs"
        logs.mkdir(parents=True)
        assert await seconds_to_next_look(parts) == LOGS
        assert not logs.exists()
        assert await parts.store.query(partial(containers.get, container_id=CONTAINER)) is None


async def test_the_beginning_of_a_download_is_due_a_day_after_its_last_byte(tmp_path: Path) -> None:
    async with opened(tmp_path) as parts:
        beginnings = Path(parts.settings.images_dir) / content.PARTIAL
        for name, age in (("old", PARTIALS_KEPT + 1), ("young", PARTIALS_KEPT - 60)):
            (beginnings / name).touch()
            os.utime(beginnings / name, (NOW - age, NOW - age))
        assert await seconds_to_next_look(parts) == 60
        assert [path.name for path in beginnings.iterdir()] == ["young"]
