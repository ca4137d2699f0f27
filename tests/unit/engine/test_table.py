"""The nftables table as the engine has it, without a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import pytest
import trio

from pysup.store.networks import Network
from pysup.supervisor.engine.networks.places import all_published
from pysup.supervisor.engine.networks.table import Table
from pysup.supervisor.errors import Conflict, Unavailable
from pysup.supervisor.network.rules import ANY, Published, Ruled, element

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
    """A store with rows of ports, a firewall, what is guarded, a home, and who owns it, all in one."""

    namespace = None
    is_ours = True

    def __init__(self) -> None:
        self.rows = [PORT]
        self.applied = ""
        self.guarded = frozenset[int]()
        self.other = ""

    @property
    def ownership(self) -> Played:
        return self

    async def take(self, what: str) -> None:
        await trio.lowlevel.checkpoint()
        if self.other:
            raise Conflict(f"cannot {what}: {self.other} owns the networks")
        self.is_ours = True

    @contextmanager
    def claimed(self, versions: frozenset[int]) -> Iterator[None]:
        before = self.guarded
        self.guarded |= versions
        try:
            yield
        except BaseException:
            self.guarded = before
            raise

    async def query(self, asked: object) -> object:
        await trio.lowlevel.checkpoint()
        if asked is all_published:
            return self.rows
        return {} if isinstance(asked, partial) else []

    async def apply(self, commands: str, _what: str) -> str:
        await trio.lowlevel.checkpoint()
        if commands.startswith("list chain"):
            return 'meta nfproto ipv6 drop comment "not forwarded before"'
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


async def test_another_daemons_table_is_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    played = Played()
    played.is_ours, played.other = False, "another pysup daemon"
    table = played.table()
    for change in (
        table.found,
        table.tidy,
        partial(table.add, NETWORK, Ruled("br0", ("10.9.0.0/24",))),
        partial(table.publish, [PORT]),
    ):
        with pytest.raises(
            Conflict, match="cannot set up the firewall: another pysup daemon owns the networks"
        ):
            await change()
    await table.unpublish([PORT])
    await table.take_out(NETWORK, Ruled("br0", ("10.9.0.0/24",)))
    await table.spare_neighbours()
    assert (played.applied, played.guarded, table.founded, caplog.text) == ("", frozenset(), False, "")


async def test_what_the_owner_before_guarded_is_guarded_on() -> None:
    """Forwarding is on by now, and only the table tells that it was not."""
    played = Played()
    played.is_ours = False
    table = played.table()
    await table.own("make network mine")
    await table.found()
    assert played.guarded == {6}
    assert "strangers meta nfproto ipv6 drop" in played.applied
    assert "strangers meta nfproto ipv4 drop" not in played.applied
