"""Signals by name or number, as ``--stop-signal`` and ``kill -s`` take them. Pure and light."""

from __future__ import annotations

import re
import signal

_REAL_TIME = re.compile(r"RT(MIN|MAX)(?:([+-])(\d{1,2}))?", re.ASCII)
_RTMIN, _RTMAX = 34, 64
"""What programs can use (signal(7)): glibc keeps 32 and 33 to itself."""
_ALIASES = {"IOT": signal.SIGABRT, "POLL": signal.SIGIO, "CLD": signal.SIGCHLD}
_NAMED = {one.name.removeprefix("SIG"): int(one) for one in signal.Signals}


def parse_signal(text: str) -> int:
    """``SIGTERM``, ``term``, ``15`` or ``RTMIN+3`` to a number. Raises ValueError."""
    if text.isascii() and text.isdigit() and len(text) <= 2:  # noqa: PLR2004 - 64 is the highest
        number = int(text)
        if 1 <= number <= _RTMAX:
            return number
    name = text.upper().removeprefix("SIG")
    found = _real_time(name) or _NAMED.get(name) or _ALIASES.get(name)
    if found is None:
        raise ValueError(f"invalid signal: {text[:32]!r}")
    return int(found)


def _real_time(name: str) -> int | None:
    match = _REAL_TIME.fullmatch(name)
    if match is None:
        return None
    end, sign, offset = match.groups()
    number = (_RTMIN if end == "MIN" else _RTMAX) + int(f"{sign or '+'}{offset or 0}")
    return number if _RTMIN <= number <= _RTMAX else None
