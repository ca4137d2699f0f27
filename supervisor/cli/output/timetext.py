"""Times as words and numbers, for tables (the wording of github.com/docker/go-units)."""

from __future__ import annotations

import time


def parse_time(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time with any count of decimals; 0 for docker's zero time."""
    if not text or text.startswith("0001-"):
        return 0.0
    from datetime import datetime

    whole, dot, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    zone = rest[len(digits) :] if dot else ""
    base = datetime.fromisoformat(whole + zone).timestamp()
    return base + (float(f"0.{digits}") if digits else 0.0)


def local(seconds: float) -> str:
    """``2026-11-24 00:04:09 +0000 UTC``, as Go prints a time."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(seconds))


def utc(text: str) -> str:
    """``2026-11-24 00:04:09.5 +0000 UTC``: a time of the API's as Go prints it."""
    return text.replace("T", " ", 1).removesuffix("Z") + " +0000 UTC"


def ago(seconds: float, now: float) -> str:
    """``3 minutes ago``."""
    from pysup.supervisor.spec.units import human_duration

    return f"{human_duration(max(0.0, now - seconds))} ago"


def rfc3339_nano(nanoseconds: int) -> str:
    """Local time with nine decimals, as ``docker events`` prints it."""
    seconds, rest = divmod(nanoseconds, 10**9)
    then = time.localtime(seconds)
    zone = time.strftime("%z", then)
    shown = "Z" if then.tm_gmtoff == 0 else f"{zone[:3]}:{zone[3:]}"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', then)}.{rest:09d}{shown}"
