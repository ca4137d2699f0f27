"""Orders of children made ahead, at a keeper without a daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.containers import outcome
from helpers.keepers import FLAGS, KeeperProcess, linked, plan

from pysup.supervisor.errors import StartFailed
from pysup.supervisor.keeper.protocol import MAX_MESSAGE, Order
from pysup.supervisor.runtime.launch import StdioPlan, launch
from pysup.supervisor.runtime.plan import Stage

pytestmark = [pytest.mark.kernel, pytest.mark.vm]


def stage(*steps: list[object]) -> Stage:
    return Stage("key", FLAGS, (["propagation", "private"], *steps), ())


async def start(keeper: KeeperProcess, base: Path, wanted: Stage) -> None:
    """Order the stage, and start a container of the host's root behind it; what it writes is "up"."""
    async with linked(keeper) as link:
        await link.order(Order(wanted.key, wanted.flags, 1), json.dumps(wanted.steps).encode())
        steps = plan(base / "c", ["echo", "up"])
        launched = await launch(
            link,
            what="container web",
            key="run/c/1",
            flags=FLAGS,
            plan=steps,
            stdio=StdioPlan(),
            stage=wanted,
        )
        await launched.go()
        assert (await outcome(link, launched)).stdout == "up\n"


async def test_a_stage_may_be_longer_than_a_message(keeper: KeeperProcess, tmp_path: Path) -> None:
    """A machine with a thousand CPUs has a thousand paths to mask."""
    masks: list[list[object]] = [["mask", f"/proc/none/of/cpu{number}"] for number in range(4000)]
    (tmp_path / "stage").mkdir()
    wanted = stage(["stage", str(tmp_path / "stage")], *masks)
    assert len(json.dumps(wanted.steps)) > 2 * MAX_MESSAGE
    await start(keeper, tmp_path, wanted)


async def test_what_fails_on_the_stage_is_told_by_the_start(keeper: KeeperProcess, tmp_path: Path) -> None:
    """Though the child has not read its plan then."""
    with pytest.raises(BaseExceptionGroup) as raised:
        await start(keeper, tmp_path, stage(["stage", "/no/such/directory"]))
    assert raised.group_contains(StartFailed, match="stage /no/such/directory: [Nn]o such file")
