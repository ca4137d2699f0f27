"""The containers in which builds run now: each is its build's, which removes it, and nobody else does meanwhile."""

from __future__ import annotations

from pysup.store.containers import Container as Row
from pysup.supervisor.engine.building.orders import Order
from pysup.supervisor.errors import Conflict


class StepContainers:
    """One for each daemon. After it, what builds have left is removed by the next one's start (engine/boot.py)."""

    def __init__(self) -> None:
        self._owned: dict[str, Order] = {}

    def own(self, container_id: str, order: Order) -> None:
        """It is this build's until it lets go."""
        self._owned[container_id] = order

    def let_go(self, container_id: str) -> None:
        """Anybody may remove it now, the build first of all."""
        self._owned.pop(container_id, None)

    def refuse_removal(self, row: Row) -> None:
        """Raises Conflict: a build runs in it."""
        order = self._owned.get(row.id)
        if order is not None:
            names = " of " + ", ".join(map(str, order.names)) if order.names else ""
            raise Conflict(
                f"cannot remove container {row.name}: the build{names} runs in it, and removes it; "
                "kill it to end the build"
            )
