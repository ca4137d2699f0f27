"""RUN: an ordinary container of the engine, whose write layer becomes the image's.

It is noted in the store that it belongs to a build, in the transaction that makes it: an engine that finds one at its
start removes it, since whoever wanted the build is gone. Until then only the build removes it (step_containers.py).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

import trio

from pysup.store import builds
from pysup.supervisor.engine.building.orders import Order
from pysup.supervisor.engine.building.output import Output
from pysup.supervisor.engine.building.step_containers import StepContainers
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.containers.attachment import Attachment
from pysup.supervisor.engine.containers.record import Change, Record
from pysup.supervisor.engine.containers.waiting import Condition
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import PysupError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pysup.supervisor.engine.containers.creation import Draft

log = logging.getLogger(__name__)

_SHORT = slice(12)
_GOES_WITHIN = 30.0
"""Seconds in which a container that nobody wants any more is killed and removed; else the next start removes it."""


class StepFailed(PysupError):
    """A command of RUN has ended with another code than 0."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Engine(Protocol):
    """What a build needs of the engine."""

    async def create(
        self,
        body: dict[str, Any],
        name: str | None,
        caller: Caller,
        also: Callable[[str], Change] | None = None,
    ) -> Draft:
        """As Engine.create()."""

    async def start(self, ref: str, caller: Caller) -> None:
        """As Engine.start()."""

    async def wait(self, ref: str, condition: Condition) -> int:
        """As Engine.wait()."""

    async def remove(self, ref: str, caller: Caller, *, force: bool = False, volumes: bool = False) -> None:
        """As Engine.remove()."""

    def attach(self, ref: str, run: int | None = None) -> AbstractContextManager[Attachment]:
        """As Engine.attach()."""


class Containers:
    """Those of one build."""

    def __init__(
        self, parts: Parts, engine: Engine, order: Order, output: Output, steps: StepContainers
    ) -> None:
        self._parts = parts
        self._engine = engine
        self._order = order
        self._output = output
        self._steps = steps

    @asynccontextmanager
    async def ran(self, body: dict[str, Any], told: str) -> AsyncIterator[Record]:
        """Run a command to its end; in the block the container is at rest, and its write layer can be taken.

        Raises StepFailed, StartFailed, and what create() does. If the build is cancelled, nothing of it stays.
        """
        drafted = await self._made(body)
        short = drafted.id[_SHORT]
        try:
            for warning in drafted.warnings:
                await self._output.say(f" ---> [Warning] {warning}")
            await self._output.say(f" ---> Running in {short}")
            await self._perform(drafted.id, told)
            yield drafted.record
        except PysupError:
            await self._leave(drafted.id, removed=self._order.remove_failed)
            raise
        except BaseException:
            await self._discard(drafted.id)
            raise
        await self._leave(drafted.id, removed=not self._order.keep)

    async def _made(self, body: dict[str, Any]) -> Draft:
        """Nobody sees it before it is the build's."""
        made: list[str] = []

        def of_build(container_id: str) -> Change:
            made.append(container_id)
            self._steps.own(container_id, self._order)
            return Change(writes=(partial(builds.add_container, container_id=container_id),))

        try:
            return await self._engine.create(body, None, self._order.caller, of_build)
        except BaseException:
            for container_id in made:
                self._steps.let_go(container_id)
            raise

    async def _perform(self, container_id: str, told: str) -> None:
        with self._engine.attach(container_id) as attachment:
            await self._engine.start(container_id, self._order.caller)
            chunks = cast("AsyncGenerator[tuple[int, bytes]]", attachment.chunks())
            async with aclosing(chunks) as chunks:
                async for number, data in chunks:
                    await self._output.chunk(number, data)
        if code := await self._engine.wait(container_id, "not-running"):
            raise StepFailed(f"The command '{told}' returned a non-zero code: {code}", code)

    async def _leave(self, container_id: str, *, removed: bool) -> None:
        self._steps.let_go(container_id)
        if not removed:
            await self._parts.store.write(partial(builds.release_container, container_id=container_id))
            return
        await self._engine.remove(container_id, self._order.caller, force=True, volumes=True)
        await self._output.say(f" ---> Removed intermediate container {container_id[_SHORT]}")

    async def _discard(self, container_id: str) -> None:
        """The client has left, or the daemon ends."""
        self._steps.let_go(container_id)
        with trio.move_on_after(_GOES_WITHIN, shield=True) as patience:
            try:
                await self._engine.remove(container_id, self._order.caller, force=True, volumes=True)
            except PysupError as error:
                log.error("%s", error)
        if patience.cancelled_caught:
            log.error("cannot remove container %s of a build: the next start will", container_id[_SHORT])
