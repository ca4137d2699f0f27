"""Docker's lines of progress (moby pkg/jsonmessage): bars on a terminal, plain lines anywhere else."""

from __future__ import annotations

import os
from typing import Any, TextIO

from pysup.supervisor.cli.tty import size
from pysup.supervisor.errors import PysupError
from pysup.supervisor.spec.units import progress_bar

_UP, _DOWN, _ERASE = "\x1b[{}A", "\x1b[{}B", "\r\x1b[2K"


class Lines:
    """Writes what comes; a layer that has a line of its own keeps it on a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._columns = _columns(out)
        self._places: dict[str, int] = {}

    def show(self, message: dict[str, Any]) -> None:
        """One document. Raises PysupError for one that is an error."""
        if "error" in message:
            raise PysupError(message["error"])
        if "status" not in message:
            return
        identity, progress = str(message.get("id") or ""), _bar(message.get("progressDetail") or {})
        if self._columns == 0:
            if not progress:
                self._out.write(_text(identity, message["status"], "") + "\n")
        elif not identity:
            self._out.write(message["status"] + "\n")
            self._places.clear()
        else:
            self._rewrite(identity, _text(identity, message["status"], progress)[: self._columns])
        self._out.flush()

    def _rewrite(self, identity: str, text: str) -> None:
        """On the line of that layer; a new one goes below all others."""
        if identity not in self._places:
            self._places[identity] = len(self._places)
            self._out.write(f"{_ERASE}{text}\n")
            return
        up = len(self._places) - self._places[identity]
        self._out.write(f"{_UP.format(up)}{_ERASE}{text}{_DOWN.format(up)}\r")


def _columns(out: TextIO) -> int:
    """0: no terminal."""
    if not out.isatty() or os.environ.get("TERM") == "dumb":
        return 0
    found = size(out.fileno())
    return found.columns if found else 0


def _text(identity: str, status: str, progress: str) -> str:
    return (f"{identity}: " if identity else "") + status + (f" {progress}" if progress else "")


def _bar(detail: dict[str, Any]) -> str:
    """Empty where there is nothing to measure."""
    return progress_bar(int(detail.get("current") or 0), int(detail.get("total") or 0))
