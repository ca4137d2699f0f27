"""The way out of an ordinary user's networks: begun once, and ended where nobody can hold it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from pysup.supervisor.engine.networks.home import Home, find_home
from pysup.supervisor.errors import Unavailable
from pysup.supervisor.kernel import mounts, netns
from pysup.supervisor.network import uplink
from pysup.supervisor.settings import Settings


class Refusing:
    """A link to a keeper that takes no descriptor."""

    def held(self, _key: str) -> dict[str, int]:
        return {"net": 0}

    async def release(self, _key: str, _names: list[str]) -> None:
        await trio.lowlevel.checkpoint()

    async def hold(self, _key: str, _named: dict[str, int]) -> None:
        await trio.lowlevel.checkpoint()
        raise OSError(109, "Too many references: cannot splice")


async def nothing_found(_home: Home) -> int:
    await trio.lowlevel.checkpoint()
    return 0


async def test_a_program_that_nobody_can_hold_is_told_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = os.pipe2(os.O_NONBLOCK)

    async def begin(*_asked: object) -> int:
        await trio.lowlevel.checkpoint()
        return ours

    monkeypatch.setattr(uplink, "begin", begin)
    monkeypatch.setattr(Home, "_found", nothing_found)
    with pytest.raises(
        Unavailable, match=r"cannot give networks a way out without root: .*Too many references"
    ):
        await Home(cast("Any", Refusing()), 0, Settings("", "")).lead_out()
    assert os.read(theirs, 1) == b"", "its pipe has ended"
    os.close(theirs)


async def test_what_an_engine_left_that_was_killed_meanwhile_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(netns, "is_governed", lambda: False)
    umounted: list[str] = []
    monkeypatch.setattr(mounts, "umount", lambda path, _flags: umounted.append(path))
    left = tmp_path / "network"
    left.touch()
    assert (await find_home(cast("Any", Refusing()), Settings("", str(tmp_path)))).namespace == 0
    assert (umounted, left.exists()) == ([str(left)], False)
