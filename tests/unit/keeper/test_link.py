"""What the engine asks the keeper for, with the test in the keeper's place."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import trio

from pysup.supervisor.keeper import codec
from pysup.supervisor.keeper.client.link import Link, SpawnError
from pysup.supervisor.keeper.protocol import MAX_MESSAGE, ProtocolError, Spawn, SpawnFailed


class Ends(NamedTuple):
    link: Link
    keeper: socket.socket


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield Ends(Link(ours), theirs)


def spawn(uid_map: str = "") -> Spawn:
    return Spawn("run/c/1", 0, [], [], uid_map, "", False, "", False)


async def fails(ends: Ends, step: str) -> None:
    """The keeper's answer reaches whoever asked."""
    codec.send(ends.keeper, SpawnFailed("run/c/1", step, 1, ""), [])
    with pytest.raises(SpawnError, match=step):
        await ends.link.spawned("run/c/1", {})


async def test_a_key_is_asked_for_once_at_a_time(ends: Ends, nursery: trio.Nursery) -> None:
    """The second one would take the first one's answer."""
    nursery.start_soon(ends.link.run)
    await ends.link.spawn(spawn(), {}, {})
    with pytest.raises(ValueError, match="asked for already with the key run/c/1"):
        await ends.link.spawn(spawn(), {}, {})
    await fails(ends, "first")
    await ends.link.spawn(spawn(), {}, {})
    await fails(ends, "again")
    nursery.cancel_scope.cancel()


async def test_what_cannot_be_asked_leaves_the_key_free(ends: Ends, nursery: trio.Nursery) -> None:
    nursery.start_soon(ends.link.run)
    with pytest.raises(ProtocolError, match="more than"):
        await ends.link.spawn(spawn("0" * MAX_MESSAGE), {}, {})
    await ends.link.spawn(spawn(), {}, {})
    await fails(ends, "clone")
    nursery.cancel_scope.cancel()
