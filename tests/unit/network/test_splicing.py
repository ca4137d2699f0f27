"""From socket to socket by splice(2): every byte, in order, to the end, and no further than the other side takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio

from pysup.supervisor.network.splicing import pump

MUCH = 5 << 20
"""Bytes: more than the pipe and the sockets hold."""


@contextmanager
def pairs() -> Iterator[list[trio.socket.SocketType]]:
    """What is sent into the first comes out of the second; the third is the other side of what the fourth gets."""
    made = [*trio.socket.socketpair(), *trio.socket.socketpair()]
    try:
        yield made
    finally:
        for one in made:
            one.close()


async def test_every_byte_comes_in_its_order_and_then_the_end() -> None:
    data = os.urandom(MUCH)
    got = bytearray()
    with pairs() as (client, own, other, server):

        async def send() -> None:
            await trio.SocketStream(client).send_all(data)
            client.close()

        async def carry() -> None:
            await pump(own, other)
            other.close()

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                nursery.start_soon(carry)
                while chunk := await server.recv(1 << 16):
                    got += chunk
    assert bytes(got) == data


async def test_who_takes_nothing_is_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    assert autojump_clock is not None
    with pairs() as (client, own, other, _):
        sent = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump, own, other)
            with trio.move_on_after(1):
                while True:
                    sent += await client.send(bytes(1 << 16))
            nursery.cancel_scope.cancel()
    assert 0 < sent < MUCH


async def test_a_side_that_has_left_is_an_error() -> None:
    with pairs() as (client, own, other, server):
        server.close()
        await client.send(b"hello")
        with pytest.raises(OSError, match="Broken pipe"):
            await pump(own, other)
