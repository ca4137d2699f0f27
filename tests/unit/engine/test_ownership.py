"""Who owns the networks: taken once, refused with the owner's name, told in the log once, and taken later."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest
import trio

from pysup.supervisor.engine.networks import claimants
from pysup.supervisor.engine.networks.ownership import Ownership, feature
from pysup.supervisor.errors import Conflict, Unavailable
from pysup.supervisor.network import owner
from pysup.supervisor.network.owner import Owner
from pysup.supervisor.runtime.listeners import Holder


class Keeper:
    """A link to a keeper that holds what it is given."""

    def __init__(self) -> None:
        self.has: dict[str, dict[str, int]] = {}

    def held(self, key: str) -> dict[str, int]:
        return self.has.get(key, {})

    async def hold(self, key: str, named: dict[str, int]) -> None:
        await trio.lowlevel.checkpoint()
        self.has[key] = named


class Kernel:
    """What claim() and owner() find, one after the other; the last one stays."""

    def __init__(self) -> None:
        self.refusals: list[int] = []
        self.owners: list[Owner | None] = [None]
        self.claimed: list[str] = []

    def claim(self, comment: str) -> socket.socket:
        if self.refusals:
            number = self.refusals.pop(0)
            raise OSError(number, os.strerror(number))
        self.claimed.append(comment)
        return socket.socket(socket.AF_UNIX)

    def owner(self) -> Owner | None:
        return self.owners.pop(0) if len(self.owners) > 1 else self.owners[0]


OTHER = Owner("the pysup daemon of /srv/other", "1234")
"""As those say that are older than the ending."""
STRANGE = "no pysup daemon, has the nftables table inet pysup_owner, whose owner owns"
EPERM = errno.EPERM


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    played = Kernel()
    monkeypatch.setattr(owner, "claim", played.claim)
    monkeypatch.setattr(owner, "owner", played.owner)
    seen = [Holder("python3", 41, ""), Holder("pysup", 42, "")]
    holders = {"1234": seen, "77": [Holder("nft", 1, "")]}
    monkeypatch.setattr(claimants, "processes_with", lambda inode: holders.get(inode, []))
    return played


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    played = Keeper()
    yield played
    for named in played.has.values():
        for fd in named.values():
            os.close(fd)


@pytest.fixture
def ownership(keeper: Keeper) -> Ownership:
    return Ownership(cast("Any", keeper), None, "/srv/own")


async def test_networks_are_taken_once_and_held_by_the_keeper(
    kernel: Kernel, keeper: Keeper, ownership: Ownership
) -> None:
    assert not ownership.is_ours
    for _ in range(2):
        await ownership.take("make network mine")
    assert (ownership.is_ours, kernel.claimed) == (True, [claimants.comment_of("/srv/own")])
    assert Ownership(cast("Any", keeper), None, "/srv/own").is_ours, "the next engine's"


async def test_who_owns_them_is_in_the_error_and_once_in_the_log(
    kernel: Kernel, ownership: Ownership, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.refusals, kernel.owners = [EPERM] * 3, [OTHER]
    other = (
        "another pysup daemon (pid 42, of /srv/other) owns the networks of this network namespace; end it, or"
    )
    for name in ("one", "two", "three"):
        with pytest.raises(Conflict) as refused:
            await ownership.take(f"make network {name}")
        assert str(refused.value).startswith(f"cannot make network {name}: {other}")
        assert str(refused.value).endswith("; --network none and host work without it")
    assert caplog.text.count(other) == 1
    caplog.set_level(logging.INFO)
    await ownership.take("make network four")
    assert ownership.is_ours and "this daemon's now" in caplog.text


async def test_an_owner_that_ends_while_it_is_looked_for_keeps_nobody_from_the_networks(
    kernel: Kernel, ownership: Ownership
) -> None:
    kernel.refusals = [EPERM]
    await ownership.take("make network mine")
    assert ownership.is_ours


async def test_a_daemon_without_power_over_rules_is_not_told_of_another_one(
    kernel: Kernel, ownership: Ownership
) -> None:
    kernel.refusals = [EPERM, EPERM]
    with pytest.raises(Unavailable, match="cannot make network mine: nftables: Operation not permitted; "):
        await ownership.take("make network mine")


async def test_where_the_kernel_has_no_nftables_nobody_owns_anything(
    kernel: Kernel, ownership: Ownership
) -> None:
    kernel.refusals = [errno.EPROTONOSUPPORT]
    await ownership.take("make network mine")
    assert not ownership.is_ours


def test_the_table_says_whose_it_is_and_that_it_is_not_to_be_saved() -> None:
    assert claimants.comment_of("/srv/own") == "the pysup daemon of /srv/own (not for saved rules)"
    long = "/" + "a" * 100
    assert claimants.comment_of(long) == f"the pysup daemon of {long}"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (OTHER, "another pysup daemon (pid 42, of /srv/other) owns"),
        (Owner(claimants.comment_of("/srv/new"), "1234"), "another pysup daemon (pid 42, of /srv/new) owns"),
        (OTHER._replace(inode="5"), "another pysup daemon (of /srv/other) owns"),
        (OTHER._replace(inode="77"), f"nft (pid 1), {STRANGE}"),
        (Owner("", ""), f"a process that cannot be seen from here, {STRANGE}"),
    ],
    ids=["seen", "of a newer version", "in another pid namespace", "who loads saved rules", "nothing known"],
)
async def test_info_tells_who_owns_them(
    kernel: Kernel, keeper: Keeper, ownership: Ownership, found: Owner, told: str
) -> None:
    link = cast("Any", keeper)
    assert await feature(link) == {"present": True, "detail": "nobody's yet", "cost": ""}
    kernel.owners = [found]
    cost = f"no network but host, none and container:NAME: {told} the networks of this network namespace"
    assert await feature(link) == {"present": False, "detail": "", "cost": cost}
    await ownership.take("make network mine")
    assert await feature(link) == {"present": True, "detail": "this daemon's", "cost": ""}
