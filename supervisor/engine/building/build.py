"""What the stages of one build share: what was ordered, the cache, arguments, and the stages that are done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pysup.supervisor.build.arguments import Arguments
from pysup.supervisor.build.errors import bad
from pysup.supervisor.build.instructions import Instruction
from pysup.supervisor.build.stages import Plan
from pysup.supervisor.engine.building.bases import NOTHING, Base, Bases
from pysup.supervisor.engine.building.cache import Cache
from pysup.supervisor.engine.building.containers import Containers, Engine
from pysup.supervisor.engine.building.context import Context
from pysup.supervisor.engine.building.orders import Order
from pysup.supervisor.engine.building.output import Output
from pysup.supervisor.engine.building.step_containers import StepContainers
from pysup.supervisor.engine.parts import Parts
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
    steps: StepContainers


class Done(NamedTuple):
    """A stage that is done."""

    name: str
    image_id: str


class Build:
    """One build on its way."""

    def __init__(self, parts: Parts, engine: Engine, job: Job) -> None:
        self.parts = parts
        self.order, self.context, self.plan, self.output, self.hold, steps = job
        self.cache = Cache(parts, job.order, job.hold)
        self.containers = Containers(parts, engine, job.order, job.output, steps)
        self.arguments = Arguments(job.order.arguments, dict(_platform_arguments(job.order.platform)))
        self._bases = Bases(parts, job.order, job.output)
        self.done: list[Done] = []
        """In their order."""
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
            if number == len(self.done):
                raise bad(line, f"invalid from flag value {name}: refers to current build stage")
            if number > len(self.done):
                raise bad(line, f"invalid from flag value {name}: index out of bounds")
            stage = self.done[number]
        if stage is not None:
            return stage.image_id
        return (await self._bases.find(name, None)).id

    def _stage(self, name: str) -> Done | None:
        return next((stage for stage in self.done if stage.name and stage.name == name.lower()), None)


def _platform_arguments(target: Platform | None) -> Iterator[tuple[str, str | None]]:
    """What BuildKit gives every Dockerfile that declares them (Dockerfile reference, platform ARGs)."""
    host = platform_of({"architecture": architecture()})
    for prefix, platform in (("BUILD", host), ("TARGET", target or host)):
        yield f"{prefix}PLATFORM", str(platform)
        yield f"{prefix}OS", platform.os
        yield f"{prefix}ARCH", platform.architecture
        yield f"{prefix}VARIANT", platform.variant
