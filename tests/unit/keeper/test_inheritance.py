"""What an engine takes over of a keeper that dies while it begins."""

from __future__ import annotations

import socket

from pysup.supervisor.keeper import codec
from pysup.supervisor.keeper.client.inheritance import Packet, take_over
from pysup.supervisor.keeper.protocol import List, Listed, Stop


def test_what_was_said_before_the_keeper_s_death_is_heard() -> None:
    """It died before it could be asked anything."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        with ours:
            codec.send(ours, Stop(15))
        assert take_over(theirs) == [Packet(Stop(15), [])]


def test_a_keeper_that_dies_with_the_question_unread() -> None:
    """The kernel tells of that once (ECONNRESET), before what was said."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        with ours:
            codec.send(ours, Stop(15))
            codec.send(theirs, List())
        assert take_over(theirs) == [Packet(Stop(15), [])]


def test_all_up_to_the_end_of_the_list() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        for message in (Stop(15), Listed(), Stop(2)):
            codec.send(ours, message)
        assert take_over(theirs) == [Packet(Stop(15), []), Packet(Listed(), [])]
