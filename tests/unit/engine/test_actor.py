"""The task with an inbox: one message at a time, a deadline, and no task while there is nothing to do."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from pysup.supervisor.engine.callers import DAEMON
from pysup.supervisor.engine.containers.actor import Actor, Message
from pysup.supervisor.engine.containers.commands import Due, Kill
from pysup.supervisor.errors import Unavailable


class Recorder(Actor):
    """Rests whenever its inbox is empty and it waits for no time."""

    def __init__(self, nursery: trio.Nursery) -> None:
        super().__init__(nursery, "recorder")
        self.taken: list[tuple[str, float]] = []
        self.rests = 0

    def wait_until(self, deadline: float) -> None:
        self._deadline = deadline

    def _at_rest(self) -> bool:
        return self._deadline == float("inf")

    async def _rest(self) -> None:
        self.rests += 1
        await trio.lowlevel.checkpoint()

    async def _take(self, message: Message) -> None:
        await trio.lowlevel.checkpoint()
        self.taken.append((type(message).__name__, trio.current_time()))
        if isinstance(message, Kill):
            message.reply.settle(message.signal)


async def test_commands_are_answered_in_their_order(nursery: trio.Nursery) -> None:
    actor = Recorder(nursery)
    answers: list[int] = []

    async def ask(number: int) -> None:
        answers.append(await actor.ask(Kill(DAEMON, number)))

    async with trio.open_nursery() as asking:
        for number in range(5):
            asking.start_soon(ask, number)
    assert sorted(answers) == [0, 1, 2, 3, 4]
    assert len(actor.taken) == 5


async def test_the_deadline_comes_as_a_message(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    actor = Recorder(nursery)
    begin = trio.current_time()
    actor.wait_until(begin + 100)
    actor.tell(None)
    await trio.sleep(200)
    assert actor.taken == [(Due.__name__, begin + 100)]
    assert actor.rests == 1


async def test_a_message_during_the_rest_starts_the_task_again(nursery: trio.Nursery) -> None:
    actor = Recorder(nursery)
    await actor.ask(Kill(DAEMON, 1))
    await trio.testing.wait_all_tasks_blocked()
    rests = actor.rests
    assert await actor.ask(Kill(DAEMON, 2)) == 2
    await trio.testing.wait_all_tasks_blocked()
    assert actor.rests == rests + 1


async def test_who_waits_shielded_for_a_task_that_breaks_does_not_keep_the_engine() -> None:
    """The engine is to end then, and be replaced; whoever asked is told."""

    class Broken(Recorder):
        async def _take(self, message: Message) -> None:
            await trio.lowlevel.checkpoint()
            raise LookupError(f"nobody expected {type(message).__name__}")

    told: list[str] = []

    async def ask(actor: Actor) -> None:
        with trio.CancelScope(shield=True), pytest.raises(Unavailable) as caught:
            await actor.ask(Kill(DAEMON, 9))
        told.append(str(caught.value))

    with pytest.RaisesGroup(pytest.RaisesGroup(LookupError)):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, Broken(nursery))
    assert told == ["cannot go on with recorder: the engine ends"]
