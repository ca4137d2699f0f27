"""Images that a build begins with or copies from: those that are there, and those of registries."""

from __future__ import annotations

import json
from typing import NamedTuple

from pysup.store import images
from pysup.supervisor.build.effects import Config
from pysup.supervisor.engine.building.orders import Order
from pysup.supervisor.engine.building.output import Output
from pysup.supervisor.engine.images.pulling import Order as Pull
from pysup.supervisor.engine.images.pulling import pull
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.progress import Progress, with_progress
from pysup.supervisor.errors import BadRequest, NotFound
from pysup.supervisor.images.platforms import Platform, platform_of, runs_on
from pysup.supervisor.spec.reference import parse_reference

SCRATCH = "scratch"


class Base(NamedTuple):
    """An image that is there."""

    id: str
    """Empty: nothing at all (``FROM scratch``)."""
    config: Config
    """The inner one."""
    author: str = ""


NOTHING = Base("", {})


class Bases:
    """Those of one build: each is asked for once."""

    def __init__(self, parts: Parts, order: Order, output: Output) -> None:
        self._parts = parts
        self._order = order
        self._output = output
        self._pulled: set[tuple[str, Platform | None]] = set()

    async def find(self, name: str, platform: Platform | None) -> Base:
        """By name or id; pulled if it is not there, or if that is asked for. Raises NotFound, Unavailable, …"""
        if name.lower() == SCRATCH:
            return NOTHING
        platform = platform or self._order.platform
        if (name, platform) not in self._pulled and self._is_wanted(name, platform):
            await self._pull(name, platform)
            self._pulled.add((name, platform))
        return self.known(name)

    def known(self, name: str) -> Base:
        """One that is there. Raises NotFound."""
        found = self._parts.images.resolve(name)
        row = images.get(self._parts.store.read(), found.id)
        author = str(json.loads(row.config).get("author") or "") if row is not None else ""
        return Base(found.id, found.config, author)

    def _is_wanted(self, name: str, platform: Platform | None) -> bool:
        try:
            found = self._parts.images.resolve(name)
        except NotFound:
            return True
        if self._order.pull and not found.id.removeprefix("sha256:").startswith(name.removeprefix("sha256:")):
            return True
        row = images.get(self._parts.store.read(), found.id)
        return (
            platform is not None
            and row is not None
            and not runs_on(platform_of(json.loads(row.config)), platform)
        )

    async def _pull(self, name: str, platform: Platform | None) -> None:
        try:
            reference = parse_reference(name).tagged()
        except ValueError as error:
            raise BadRequest(f"cannot build: {error}") from None
        credentials = self._order.credentials_for(reference.registry)
        order = Pull(reference, credentials, platform, self._order.caller)

        async def work(progress: Progress) -> None:
            await pull(self._parts.images.admissions, self._parts.images.registries, order, progress)

        await with_progress(self._output.progress, work)
