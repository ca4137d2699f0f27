"""The nftables table as the engine has it, without a kernel."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import pytest
import trio

from pysup.store.networks import Network
from pysup.supervisor.engine.networks.places import all_published
from pysup.supervisor.engine.networks.table import Table
from pysup.supervisor.errors import Unavailable
from pysup.supervisor.network.rules import ANY, Published, element

NOBODY = cast("Any", None)
NETWORK = Network("1" * 64, "mine", "bridge", "br0", False, False, True, False, {}, {}, {}, 1)
PORT = Published("tcp", ANY[4], 8080, "10.9.0.2", 80)


class Ended:
    """A firewall whose process is gone."""

    async def apply(self, _commands: str, what: str) -> str:
        await trio.lowlevel.checkpoint()
        raise Unavailable(f"cannot {what}: nftables: its process has ended")


async def test_a_network_that_is_made_does_not_fail_for_a_warning_that_cannot_be_given(
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = Table(NOBODY, cast("Any", Ended()), NOBODY, NOBODY, raised=list)
    await table.warn_of_droppers(NETWORK)
    assert "drop of network mine: cannot list the chains: nftables: its process has ended" in caplog.text


class Played:
    """A store with rows of ports, a firewall, what is guarded, and a home, all in one."""

    namespace = None
    guarded = frozenset[int]()

    def __init__(self) -> None:
        self.rows = [PORT]
        self.applied = ""

    async def query(self, asked: object) -> object:
        await trio.lowlevel.checkpoint()
        if asked is all_published:
            return self.rows
        return {} if isinstance(asked, partial) else []

    async def apply(self, commands: str, _what: str) -> str:
        await trio.lowlevel.checkpoint()
        self.applied = commands
        return ""

    def table(self) -> Table:
        played = cast("Any", self)
        return Table(played, played, played, played, raised=list)


async def test_a_port_that_was_taken_back_does_not_come_again_while_its_row_is_there() -> None:
    played = Played()
    table = played.table()
    await table.found()
    assert element(PORT).split("{")[1].strip(" }") in played.applied
    await table.unpublish([PORT])
    await table.found()
    assert "8080" not in played.applied, "the container's end is yet to be committed"
    played.rows = []
    await table.found()
    assert not table._withdrawn
    played.rows = [PORT]
    await table.found()
    assert "8080" in played.applied, "the next run's"


async def test_a_port_that_is_published_again_is_led_whatever_was_taken_back_before() -> None:
    played = Played()
    table = played.table()
    await table.found()
    await table.unpublish([PORT])
    await table.publish([PORT])
    await table.found()
    assert "8080" in played.applied


async def test_what_was_taken_back_is_not_kept_for_ever() -> None:
    played = Played()
    table = played.table()
    await table.found()
    played.rows = []
    for port in range(1, 1100):
        await table.unpublish([PORT._replace(host_port=port)])
    assert len(table._withdrawn) < 1000
