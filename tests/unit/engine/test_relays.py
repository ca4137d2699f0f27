"""Ports that are carried: what is begun and ended."""

from __future__ import annotations

import socket

import pytest
import trio

from pysup.supervisor.engine.networks.relays import Relays, is_carried
from pysup.supervisor.network.rules import Published


@pytest.mark.parametrize(
    ("host_ip", "address", "namespace", "carried"),
    [
        ("0.0.0.0", "10.9.0.2", None, False),  # noqa: S104
        ("::", "fd09::2", None, True),
        ("::1", "fd09::2", None, True),
        ("2001:db8::1", "fd09::2", None, False),
        ("2001:db8::1", "10.9.0.2", None, True),
        ("127.0.0.1", "10.9.0.2", 7, True),
    ],
)
def test_what_no_rule_leads_is_carried(
    host_ip: str, address: str, namespace: int | None, *, carried: bool
) -> None:
    assert is_carried(Published("tcp", host_ip, 80, address, 80), namespace) is carried
    assert not is_carried(Published("sctp", host_ip, 80, address, 80), namespace)


async def test_a_port_that_cannot_be_carried_is_not_waited_for_at_its_end() -> None:
    port = Published("tcp", "::", 80, "192.0.2.1", 80)
    gone = socket.socket()
    gone.close()
    async with trio.open_nursery() as nursery:
        relays = Relays(nursery)
        with pytest.raises(OSError, match="Bad file descriptor"):
            relays.begin(port, gone, None)
        await relays.end([port])
