"""Where the reading of a log can be taken up again, by another engine too: noted on every entry that is asked so."""

from __future__ import annotations

from pysup.supervisor.logs.cursor import Chunk, Cursor
from pysup.supervisor.logs.lines import Entry, Mark, Shaper


class Marked:
    """Wraps what makes the entries: each gets the mark behind it, and those before ``begin`` are left out.

    A mark counts entries from the last place where nothing was held back: lines are the same entries whatever
    the chunks are that they come in, so the count is good for another reader.
    """

    def __init__(self, shaper: Shaper, cursor: Cursor, begin: Mark) -> None:
        self._shaper = shaper
        self._cursor = cursor
        self._mark = begin._replace(skip=0)
        self._skip = begin.skip

    @property
    def idle(self) -> bool:
        """As the shaper it wraps."""
        return self._shaper.idle

    def feed(self, chunk: Chunk) -> list[Entry]:
        """As the shaper it wraps."""
        return self._marked(self._shaper.feed(chunk))

    def flush(self) -> list[Entry]:
        """As the shaper it wraps."""
        return self._marked(self._shaper.flush())

    def _marked(self, entries: list[Entry]) -> list[Entry]:
        found = []
        for entry in entries:
            self._mark = self._mark._replace(skip=self._mark.skip + 1)
            found.append(entry._replace(mark=self._mark))
        if self._shaper.idle:
            self._mark = Mark(self._cursor.offset, 0, 0)
            found[-1:] = [entry._replace(mark=self._mark) for entry in found[-1:]]
        kept, self._skip = found[self._skip :], max(0, self._skip - len(found))
        return kept
