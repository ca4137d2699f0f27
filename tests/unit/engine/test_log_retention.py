"""The bound of all logs together, where the clock was set back."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import trio
from helpers.logs import Piece, write_log

from pysup.supervisor.engine.retention import trim_logs
from pysup.supervisor.logs.budget import Budget
from pysup.supervisor.logs.retention import Usage, usage
from pysup.supervisor.settings import Settings


async def test_no_more_goes_than_must(tmp_path: Path) -> None:
    """The files of a log go in their order, whatever their times say; and each counts once."""
    settings = Settings(root=str(tmp_path))
    quiet, loud = (Path(settings.container_dir(name)) / "logs" for name in ("quiet", "loud"))
    for logs, pieces in ((quiet, 1), (loud, 3)):
        logs.parent.mkdir(parents=True)
        write_log(logs, [Piece(1, b"x" * 100)] * pieces, max_size=164)
    for number, moment in ((1, 300), (2, 200), (3, 400)):
        os.utime(loud / f"{number:08}.log", (moment, moment))
    os.utime(quiet / f"{1:08}.log", (100, 100))
    parts = SimpleNamespace(settings=settings, disk=trio.CapacityLimiter(1), logs=Budget(457))
    assert parts.logs.goal == 400
    await trim_logs(cast("Any", parts))
    assert (usage(str(quiet)), usage(str(loud))) == (Usage(164, 1), Usage(164, 1))
