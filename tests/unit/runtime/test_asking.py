"""Telling a child its plan: where the kernel has no room for the packet, the start waits and does not fail."""

from __future__ import annotations

import json
import socket
from typing import cast

import trio
import trio.testing

from pysup.supervisor.keeper import codec
from pysup.supervisor.keeper.client.link import Link
from pysup.supervisor.keeper.protocol import PLAN
from pysup.supervisor.runtime.asking import Asked, _Ends

NOBODY = cast("Link", None)


async def test_a_plan_waits_for_room(nursery: trio.Nursery) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        filled = fill(ours)
        asked = Asked(NOBODY, "container web", "run/c/1", ours, _Ends(), ())
        nursery.start_soon(asked.give, [["umask", 0o022]], {})
        await trio.testing.wait_all_tasks_blocked()
        for _packet in range(filled):
            theirs.recv(1)
        await trio.testing.wait_all_tasks_blocked()
        await trio.lowlevel.wait_readable(theirs)
        packet, fds, _flags = codec.receive_packet(theirs, 1000, 1)
        codec.close_all(fds)
        assert (json.loads(packet), len(fds)) == ([PLAN], 1)


async def test_a_child_that_is_gone_says_why_itself() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    with ours:
        await Asked(NOBODY, "container web", "run/c/1", ours, _Ends(), ()).give([], {})


def fill(sock: socket.socket) -> int:
    """Packets of one byte until there is no room."""
    sent = 0
    while True:
        try:
            codec.send_packet(sock, b"x", [])
        except BlockingIOError:
            return sent
        sent += 1
