"""``--since`` and ``--until``: what people type for a point in time, as the API takes it."""

from __future__ import annotations

import time

from pysup.supervisor.cli.flags import UsageError


def api_time(text: str, now: float | None = None) -> str:
    """Unix seconds of ``42m`` (before now), a Unix time, a date or a date and time (local without a zone)."""
    if text.replace(".", "", 1).isdigit() and text.isascii():
        return text
    from pysup.supervisor.spec.units import parse_duration

    try:
        return f"{(time.time() if now is None else now) - parse_duration(text):.9f}"
    except ValueError:
        return _date(text)


def _date(text: str) -> str:
    from datetime import datetime

    try:
        return f"{datetime.fromisoformat(text).timestamp():.9f}"
    except ValueError:
        raise UsageError(
            f"cannot parse the arguments: invalid time {text!r} (it is like 42m, 2026-11-24T00:04:09Z or Unix seconds)",
            1,
        ) from None
