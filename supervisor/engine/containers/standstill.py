"""When the processes of a run are frozen: it is paused, or stands still while its files are committed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Standstill:
    """Begun before the freeze is asked for, and ended after the thaw: whoever looks in between errs to this side."""

    lasts: bool = False
    times: int = 0
    """How often one has begun: the same number before and after something says that none came in between."""

    def begin(self) -> None:
        """The processes are about to be frozen."""
        self.lasts = True
        self.times += 1

    def end(self) -> None:
        """They run again."""
        self.lasts = False
