"""One build: its stages, one after the other, and the names of what comes out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from sqlite3 import Connection
from typing import NamedTuple

from pysup.store import builds, images
from pysup.supervisor.build.arguments import Arguments
from pysup.supervisor.build.errors import bad
from pysup.supervisor.build.expansion import expanded
from pysup.supervisor.build.instructions import Arg, Instruction
from pysup.supervisor.build.stages import Plan
from pysup.supervisor.engine.building.bases import NOTHING, Base, Bases
from pysup.supervisor.engine.building.cache import Cache
from pysup.supervisor.engine.building.containers import Containers, Engine
from pysup.supervisor.engine.building.context import Context
from pysup.supervisor.engine.building.orders import Order
from pysup.supervisor.engine.building.output import SHORT, Output
from pysup.supervisor.engine.building.stages import Done, StageBuild
from pysup.supervisor.engine.images.rows import add_event, set_tag
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import BadRequest, NotFound
from pysup.supervisor.images.host import architecture
from pysup.supervisor.images.platforms import Platform, platform_of


class Job(NamedTuple):
    """What is to be done, with what, and who is told of it."""

    order: Order
    context: Context
    plan: Plan
    output: Output
    hold: Callable[[str], None]
    """Keeps an image from being pruned until the build is over; may be called in the store's thread."""


class Build:
    """What its stages share."""

    def __init__(self, parts: Parts, engine: Engine, job: Job) -> None:
        self.parts = parts
        self.order, self.context, self.plan, self.output, self.hold = job
        self.cache = Cache(parts, job.order, job.hold)
        self.containers = Containers(parts, engine, job.order, job.output)
        self.arguments = Arguments(job.order.arguments, dict(_platform_arguments(job.order.platform)))
        self._bases = Bases(parts, job.order, job.output)
        self._done: list[Done] = []
        self._count = 0

    @property
    def directory(self) -> str:
        """The build's own, beside the context."""
        return os.path.dirname(self.context.path)

    async def announce(self, instruction: Instruction) -> None:
        """``Step 3/7 : RUN x``."""
        self._count += 1
        await self.output.say(f"Step {self._count}/{self.plan.count} : {instruction.text}")

    # -- images ----------------------------------------------------------------------------------------------

    async def base(self, name: str, platform: Platform | None) -> Base:
        """What FROM names: a stage above, or an image."""
        stage = self._stage(name)
        if stage is None:
            return await self._bases.find(name, platform)
        return self._bases.known(stage.image_id) if stage.image_id else NOTHING

    async def origin(self, name: str, line: int) -> str:
        """The id of the image that COPY --from names: a stage by name or number, or an image."""
        stage = self._stage(name)
        if stage is None and name.isascii() and name.isdigit():
            number = int(name)
            if number == len(self._done):
                raise bad(line, f"invalid from flag value {name}: refers to current build stage")
            if number > len(self._done):
                raise bad(line, f"invalid from flag value {name}: index out of bounds")
            stage = self._done[number]
        if stage is not None:
            return stage.image_id
        return (await self._bases.find(name, None)).id

    def _stage(self, name: str) -> Done | None:
        return next((stage for stage in self._done if stage.name and stage.name == name.lower()), None)

    # -- the whole -------------------------------------------------------------------------------------------

    async def perform(self) -> str:
        """All stages, then the names. Raises as Builds.build()."""
        for warning in self.plan.warnings:
            await self.output.say(f"[WARNING]: {warning}")
        for instruction in self.plan.arguments:
            await self._argument(instruction)
        for stage in self.plan.stages:
            done = await StageBuild(self, stage).perform()
            if done.image_id:
                await self.output.result(done.image_id)
            self._done.append(done)
        image_id = self._done[-1].image_id
        if not image_id:
            raise BadRequest("cannot build: No image was generated. Is your Dockerfile empty?")
        if self.arguments.unused:
            named = " ".join(self.arguments.unused)
            await self.output.say(f"[Warning] One or more build-args [{named}] were not consumed")
        await self.parts.store.write(partial(self._name, image_id=image_id))
        await self._tell_names(image_id)
        return image_id

    async def _argument(self, instruction: Arg) -> None:
        await self.announce(instruction)
        filled = expanded(instruction, self.arguments.for_from(), self.plan.lexer)
        if isinstance(filled, Arg):
            for name, default in filled.args:
                self.arguments.declare_before_from(name, default)

    def _name(self, conn: Connection, image_id: str) -> None:
        """The image is a result from here on, and has its names; in one transaction. Raises Conflict, NotFound."""
        if images.get(conn, image_id) is None:
            raise NotFound(f"cannot build: image {image_id} was removed just now")
        builds.set_result(conn, image_id, result=True)
        for name in self.order.names:
            set_tag(conn, name, image_id)
            add_event(conn, "tag", image_id, str(name), self.order.caller)
        add_event(conn, "build", image_id, str([*self.order.names, image_id][0]), self.order.caller)

    async def _tell_names(self, image_id: str) -> None:
        if self.order.quiet:
            await self.output.last(image_id)
        await self.output.say(f"Successfully built {image_id[SHORT]}")
        for name in self.order.names:
            await self.output.say(f"Successfully tagged {name}")


def _platform_arguments(target: Platform | None) -> Iterator[tuple[str, str | None]]:
    """What BuildKit gives every Dockerfile that declares them (Dockerfile reference, platform ARGs)."""
    host = platform_of({"architecture": architecture()})
    for prefix, platform in (("BUILD", host), ("TARGET", target or host)):
        yield f"{prefix}PLATFORM", str(platform)
        yield f"{prefix}OS", platform.os
        yield f"{prefix}ARCH", platform.architecture
        yield f"{prefix}VARIANT", platform.variant
