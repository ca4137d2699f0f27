"""A task with an inbox: whatever can happen to its owner's state comes through it, one message at a time.

The task lives while there is something to do. The first message starts it; it ends when its owner rests, and is
started again by the next message. It also waits for one time, the deadline, which comes as a message too.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from pysup.supervisor.engine.containers.commands import Command, Due, News, Reply
from pysup.supervisor.errors import Unavailable

Message = Command | News


class Actor:
    """The base of whoever owns a state. Subclasses say when they rest, and what they make of a message."""

    def __init__(self, nursery: trio.Nursery, name: str) -> None:
        self._nursery = nursery
        self._task_name = name
        self._send, self._inbox = trio.open_memory_channel[Message | None](math.inf)
        self._live = False
        self._awaited: set[Reply] = set()
        """Answers that somebody waits for."""
        self._children: trio.Nursery
        """For the tasks of its own; the actor's task ends after them."""
        self._deadline = math.inf
        """When to be told that time has come (trio's clock)."""

    async def ask(self, command: Command) -> Any:  # noqa: ANN401 - each command documents its own value
        """Give a command and wait for its answer."""
        self._awaited.add(command.reply)
        try:
            self.tell(command)
            return await command.reply.get()
        finally:
            self._awaited.discard(command.reply)

    def tell(self, message: Message | None) -> None:
        """Put a message into the inbox; None only wakes the task up to look whether it still has a reason."""
        self._send.send_nowait(message)
        if not self._live:
            self._begin_task(None)

    def _begin_task(self, first: Callable[[], Awaitable[None]] | None) -> None:
        """Start the task; ``first`` is done before any message is taken."""
        self._live = True
        self._nursery.start_soon(self._task, first, name=self._task_name)

    async def _task(self, first: Callable[[], Awaitable[None]] | None) -> None:
        try:
            async with trio.open_nursery() as self._children:
                if first is not None:
                    await first()
                while self._has_messages or not self._at_rest():
                    message = await self._next()
                    if message is not None:
                        await self._take(message)
                await self._rest()
        except BaseException:
            self._answer_nobody_more()
            raise
        finally:
            self._live = False
        if self._has_messages:  # one came while the task was ending
            self._begin_task(None)

    def _answer_nobody_more(self) -> None:
        """The engine ends, as it was told or by an error: who waits shielded would keep it for ever."""
        for reply in self._awaited:
            reply.fail(Unavailable(f"cannot go on with {self._task_name}: the engine ends"))

    @property
    def _has_messages(self) -> bool:
        return self._inbox.statistics().current_buffer_used > 0

    async def _next(self) -> Message | None:
        if self._deadline == math.inf:
            return await self._inbox.receive()
        with trio.move_on_at(self._deadline):
            return await self._inbox.receive()
        self._deadline = math.inf
        return Due()

    # -- what the owner says ---------------------------------------------------------------------------------

    def _at_rest(self) -> bool:
        """Whether nothing will happen until somebody asks."""
        raise NotImplementedError

    async def _rest(self) -> None:
        """Let go of what is held only while something is going on."""
        raise NotImplementedError

    async def _take(self, message: Message) -> None:
        """Act on a message."""
        raise NotImplementedError
