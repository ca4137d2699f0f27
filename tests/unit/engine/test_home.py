"""The way out of an ordinary user's networks: begun once, and ended where nobody can hold it."""

from __future__ import annotations

import os
from typing import Any, cast

import pytest
import trio

from pysup.supervisor.engine.networks.home import Home
from pysup.supervisor.network import uplink


class Refusing:
    """A link to a keeper that takes no descriptor."""

    def held(self, _key: str) -> dict[str, int]:
        return {}

    async def release(self, _key: str, _names: list[str]) -> None:
        await trio.lowlevel.checkpoint()

    async def hold(self, _key: str, _named: dict[str, int]) -> None:
        await trio.lowlevel.checkpoint()
        raise OSError(109, "Too many references: cannot splice")


async def test_a_program_that_nobody_can_hold_is_told_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = os.pipe2(os.O_NONBLOCK)

    async def begin(*_asked: object) -> int:
        await trio.lowlevel.checkpoint()
        return ours

    monkeypatch.setattr(uplink, "begin", begin)
    monkeypatch.setattr(Home, "_found", lambda _home: 0)
    with pytest.raises(OSError, match="Too many references"):
        await Home(cast("Any", Refusing()), 0).lead_out()
    assert os.read(theirs, 1) == b"", "its pipe has ended"
    os.close(theirs)
