"""Builds: from a context and its Dockerfile to an image with its names.

Nothing that a build makes on its way has a name: images of steps are the cache's (store/builds.py), files lie in
images/tmp, containers are noted as steps. So a daemon that is killed leaves an image of the cache, which the next build
uses again, or what its start removes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from pysup.supervisor.build.lexing import read
from pysup.supervisor.build.stages import Plan, plan
from pysup.supervisor.engine.building.build import Build, Job
from pysup.supervisor.engine.building.containers import Engine
from pysup.supervisor.engine.building.context import Context, receive
from pysup.supervisor.engine.building.orders import Order
from pysup.supervisor.engine.building.output import Output, Send
from pysup.supervisor.engine.building.performing import perform
from pysup.supervisor.engine.building.step_containers import StepContainers
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import Unavailable
from pysup.supervisor.images.content import TEMPORARY
from pysup.supervisor.runtime import trees


class Builds:
    """One for each daemon."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._parts = parts
        self._engine = engine
        self.steps = StepContainers()
        self._scopes: set[trio.CancelScope] = set()
        self._ended = trio.lowlevel.ParkingLot()

    async def build(self, order: Order, chunks: AsyncIterator[bytes], send: Send) -> str:
        """Build an image; its id. Raises BadDockerfile, StepFailed, NotFound, Conflict, Unavailable, …

        With ``quiet`` what would have been told is sent only if the build fails.
        """
        with trio.CancelScope() as scope:
            if self._parts.link.stop_requested.is_set():
                scope.cancel()
            self._scopes.add(scope)
            try:
                return await self._build(order, chunks, send)
            finally:
                self._scopes.remove(scope)
                self._ended.unpark_all()
        raise Unavailable("cannot build: the daemon is stopping")

    async def stop(self) -> None:
        """End all that are in progress, as if their clients had left; returns when nothing of them is left."""
        for scope in self._scopes:
            scope.cancel()
        while self._scopes:
            await self._ended.park()

    async def _build(self, order: Order, chunks: AsyncIterator[bytes], send: Send) -> str:
        output = Output(send, quiet=order.quiet)
        try:
            with self._parts.images.in_builds.lease() as lease:
                async with self._context(order, chunks) as context:
                    wanted = await trio.to_thread.run_sync(_plan, context, order)
                    job = Job(order, context, wanted, output, lease.hold, self.steps)
                    return await perform(Build(self._parts, self._engine, job))
        except Exception:
            await output.flush()
            raise

    @asynccontextmanager
    async def _context(self, order: Order, chunks: AsyncIterator[bytes]) -> AsyncIterator[Context]:
        """Its files, for as long as the block lasts."""
        place = os.path.join(self._parts.settings.images_dir, TEMPORARY)
        directory = await trio.to_thread.run_sync(lambda: tempfile.mkdtemp(dir=place))
        try:
            files = os.path.join(directory, "context")
            os.mkdir(files, 0o755)
            yield await receive(chunks, files, order.dockerfile)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(trees.remove, directory, limiter=self._parts.disk)


def _plan(context: Context, order: Order) -> Plan:
    return plan(read(context.dockerfile), order.target, order.labels)
