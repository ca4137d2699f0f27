"""Points in time on the wire: integers of nanoseconds since the epoch here, texts there. Pure and light.

Floats are avoided on purpose: a float of seconds since 1970 is only good to about 200 ns.
"""

from __future__ import annotations

import re
from functools import lru_cache

NEVER = "0001-01-01T00:00:00Z"
"""What docker writes where there is no time: Go's zero time."""

_UNIX = re.compile(r"(-?)(\d{1,12})(?:\.(\d*))?", re.ASCII)
_BILLION = 10**9
_LATEST = (1 << 63) - 1
_DAY = 86400


def parse_unix(text: str) -> int:
    """``1795461245.0174518`` (seconds, maybe with a fraction) to nanoseconds. Raises ValueError.

    What is beyond the last time of 64 bits, which is what rows have, is that time.
    """
    match = _UNIX.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid time: {text[:64]!r} (it is seconds since 1970, maybe with a fraction)")
    sign, whole, part = match.groups()
    nanoseconds = int(whole) * _BILLION + int((part or "").ljust(9, "0")[:9])
    nanoseconds = min(nanoseconds, _LATEST)
    return -nanoseconds if sign else nanoseconds


def rfc3339(time_ns: int | None) -> str:
    """``2026-11-24T00:12:31.5Z``: Go's RFC3339Nano, which drops trailing zeros; None is Go's zero time."""
    if time_ns is None:
        return NEVER
    second, part = divmod(time_ns, _BILLION)
    fraction = f".{part:09d}".rstrip("0") if part else ""
    return f"{_to_the_second(second)}{fraction}Z"


def rfc3339_fixed(time_ns: int) -> str:
    """``2026-11-24T00:12:31.500000000Z``: always nine digits, as docker stamps log lines."""
    second, part = divmod(time_ns, _BILLION)
    return f"{_to_the_second(second)}.{part:09d}Z"


@lru_cache(maxsize=64)
def _to_the_second(second: int) -> str:
    """Cached: the lines of a log come in runs of the same second."""
    days, rest = divmod(second, _DAY)
    year, month, day = _civil(days)
    return f"{year:04d}-{month:02d}-{day:02d}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month, day of the days since 1970-01-01: Hinnant's civil_from_days.

    By hand because datetime knows no year above 9999, and costs an import.
    """
    days += 719468
    era, day_of_era = divmod(days, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9  # noqa: PLR2004 - months count from March here
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)  # noqa: PLR2004
    return year, month, day_of_year - (153 * shifted + 2) // 5 + 1
