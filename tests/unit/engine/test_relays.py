"""Ports that are carried: what is begun and ended."""

from __future__ import annotations

import socket

import pytest
import trio

from pysup.supervisor.engine.networks.relays import Relays
from pysup.supervisor.network.rules import Published


async def test_a_port_that_cannot_be_carried_is_not_waited_for_at_its_end() -> None:
    port = Published("tcp", "::", 80, "192.0.2.1", 80)
    gone = socket.socket()
    gone.close()
    async with trio.open_nursery() as nursery:
        relays = Relays(nursery)
        with pytest.raises(OSError, match="Bad file descriptor"):
            relays.begin(port, gone, None)
        await relays.end([port])
