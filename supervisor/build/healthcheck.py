"""HEALTHCHECK: its grammar, and the check as the image's config has it (Healthcheck of docker's API)."""

from __future__ import annotations

import re
from typing import Any

from pysup.supervisor.build.errors import bad
from pysup.supervisor.build.instructions import Healthcheck
from pysup.supervisor.build.lexing import Line
from pysup.supervisor.build.line_parts import SPACES, command_of, flags_of, some_words
from pysup.supervisor.build.words import Lexer
from pysup.supervisor.spec.units import parse_duration

_SHORTEST = 0.001
"""Seconds between two health checks, at least."""
_PERIODS = {
    "interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod", "start-interval": "StartInterval",
}  # fmt: skip


def healthcheck(line: Line, _lexer: Lexer) -> Healthcheck:
    """``NONE``, or ``CMD`` with its flags. Raises BadDockerfile."""
    kind, *rest = some_words(line, SPACES.split(line.rest, maxsplit=1) if line.rest else [])
    if kind.upper() == "NONE":
        if rest:
            raise bad(line.number, "HEALTHCHECK NONE takes no arguments")
        return Healthcheck(line=line.number, text=line.text, check={"Test": ["NONE"]})
    if kind.upper() != "CMD":
        raise bad(line.number, f"Unknown type {kind[:64]!r} in HEALTHCHECK (try CMD)")
    command = command_of(line, "".join(rest))
    if not command.words:
        raise bad(line.number, "Missing command after HEALTHCHECK CMD")
    flags = flags_of(line, *_PERIODS, "retries")
    check: dict[str, Any] = {"Test": ["CMD-SHELL" if command.shell else "CMD", *command.words]}
    check |= {field: _period(line, name, flags[name]) for name, field in _PERIODS.items() if name in flags}
    check |= {"Retries": _retries(line, flags["retries"])} if "retries" in flags else {}
    return Healthcheck(
        line=line.number, text=line.text, check={key: value for key, value in check.items() if value}
    )


def _period(line: Line, name: str, text: str) -> int:
    """Nanoseconds."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise bad(line.number, f"HEALTHCHECK --{name}: {error}") from None
    if 0 < seconds < _SHORTEST or seconds < 0:
        raise bad(line.number, f"HEALTHCHECK --{name}: {text[:64]} cannot be less than 1ms")
    return round(seconds * 10**9)


def _retries(line: Line, text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise bad(line.number, f"HEALTHCHECK --retries: {text[:64]!r} is not a number, or is negative")
    return int(text)
