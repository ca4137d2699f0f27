"""Volumes that a container is about to use stay, whoever removes or prunes meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from pysup.store.store import Store
from pysup.supervisor.engine.callers import DAEMON
from pysup.supervisor.engine.news import NewsDesk
from pysup.supervisor.engine.trash import Trash
from pysup.supervisor.engine.volumes.volumes import Volumes
from pysup.supervisor.errors import Conflict
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.container import Volume


@asynccontextmanager
async def opened(root: Path) -> AsyncIterator[Volumes]:
    settings, trash = Settings(root=str(root)), Trash(str(root / "trash"))
    (root / "trash").mkdir()
    disk = trio.CapacityLimiter(1)
    async with Store.open(str(root / "pysup.db")) as store:
        volumes = Volumes(store, settings, news=NewsDesk(), trash=trash, disk=disk)
        await volumes.prepare()
        yield volumes


async def test_one_that_is_held_is_in_use(tmp_path: Path) -> None:
    async with opened(tmp_path) as volumes:
        with volumes.held(["data", "data"]), volumes.held(["data"]):
            await volumes.create(Volume("data"), DAEMON)
            with pytest.raises(Conflict, match=r"cannot remove volume data: volume is in use by a container"):
                await volumes.remove("data", DAEMON, force=True)
            assert await volumes.prune(["data"], DAEMON) == ([], 0)
        assert Path(volumes.data("data")).is_dir()
        assert (await volumes.prune(["data"], DAEMON)).names == ["data"]
