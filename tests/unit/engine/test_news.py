"""Who hears of what."""

from __future__ import annotations

import pytest
import trio

from pysup.supervisor.engine.news import Happening, NewsDesk


def test_a_subscriber_hears_of_its_subject_alone_and_an_observer_of_all() -> None:
    desk = NewsDesk()
    mine, other = Happening("container", "a" * 64, "die", 3), Happening("container", "b" * 64, "start")
    with desk.subscribe("a" * 64) as own, desk.subscribe() as every, desk.subscribe("c" * 64) as quiet:
        desk.publish(mine)
        desk.publish(other)
        assert own.receive_nowait() == mine
        assert [every.receive_nowait(), every.receive_nowait()] == [mine, other]
        for channel in (own, every, quiet):
            with pytest.raises(trio.WouldBlock):
                channel.receive_nowait()
    desk.publish(mine)  # nobody is left to hear of it
    with pytest.raises(trio.ClosedResourceError):
        own.receive_nowait()


def test_who_only_wants_to_be_woken_has_one_message_whatever_happens() -> None:
    """A client of /events that reads nothing for days costs no memory."""
    desk = NewsDesk()
    with desk.subscribe(room=1) as woken:
        for _ in range(1000):
            desk.publish(Happening("container", "a" * 64, "start"))
        assert woken.statistics().current_buffer_used == 1
