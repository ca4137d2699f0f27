"""A step of a stage: where it begins, what it is, and how its layer is made if no cache has it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pysup.supervisor.build.effects import Described
from pysup.supervisor.engine.images.admission import Admission
from pysup.supervisor.images.write_layers import Written

Write = Callable[[Admission], Awaitable[Written | None]]

LONGEST_TOLD = 4096
"""Signs of a step in the image's history."""


@dataclass(frozen=True, slots=True)
class State:
    """Where a stage is."""

    image_id: str
    """Of the last step; empty: nothing yet (``FROM scratch``)."""
    described: Described


class Made(NamedTuple):
    """What a step is, and how its layer is made."""

    command: Sequence[str]
    """As the image's history tells it."""
    described: Described
    """What is said of the image then."""
    write: Write
    further: Sequence[str] = ()
    """What the key must tell beside the command, which is only a part of it then."""

    @property
    def told(self) -> str:
        """The line of the history."""
        return " ".join(self.command)[:LONGEST_TOLD]

    @property
    def tells_all(self) -> bool:
        """Whether that line is the same only for the same step."""
        return not self.further and len(self.told) < LONGEST_TOLD

    @property
    def key(self) -> list[str]:
        """What makes it the same as another step."""
        return [*self.command, *self.further]


async def no_layer(_admission: Admission) -> None:
    """The config alone is another one."""
