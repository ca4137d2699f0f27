"""What earlier builds did: a step's image by its key, or by the history of an image that came from elsewhere."""

from __future__ import annotations

from functools import partial

from pysup.store import builds
from pysup.supervisor.engine.building.orders import Order
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import NotFound


class Cache:
    """Asked by one build."""

    def __init__(self, parts: Parts, order: Order) -> None:
        self._parts = parts
        self._off = order.no_cache
        self._allowed = None if not order.cache_from else self._steps_of(order.cache_from)

    def _steps_of(self, names: tuple[str, ...]) -> frozenset[str]:
        """The images that are named and those that they were built on; one that is not there has none, as in docker."""
        found: set[str] = set()
        for name in names:
            try:
                image_id = self._parts.images.resolve(name).id
            except NotFound:
                continue
            found |= {image_id, *builds.parents(self._parts.store.read(), image_id)}
        return frozenset(found)

    async def find(self, key: str) -> str | None:
        """The image that the step with this key gave; None if the work must be done."""
        if self._off:
            return None
        step = builds.find(self._parts.store.read(), key)
        if step is None or (self._allowed is not None and step.image_id not in self._allowed):
            return None
        await self._parts.store.write(partial(builds.used, key=key, now_ns=self._parts.now_ns()))
        return step.image_id
