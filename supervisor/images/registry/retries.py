"""When to try again, and when to give up. Pure: times are seconds."""

from __future__ import annotations

FIRST = 0.25
FACTOR = 4.0
LONGEST = 60.0
"""Nobody waits longer than this, whatever the registry asks for."""
ATTEMPTS = 5
"""As dockerd's --max-download-attempts."""
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


def is_retried(status: int) -> bool:
    """Whether another try may end otherwise (RFC 9110, 15; RFC 6585)."""
    return status in _RETRIED


def pause(failed: int, attempts: int, asked: float | None = None) -> float | None:
    """How long to wait after this many failures without progress, in a row; None: give up.

    ``asked`` is what the registry asks for (Retry-After). More than LONGEST is too long to wait for.
    """
    if failed >= attempts or (asked is not None and asked > LONGEST):
        return None
    return min(LONGEST, max(FIRST * FACTOR ** min(max(failed - 1, 0), 10), asked or 0.0))


def retry_after(header: str | None) -> float | None:
    """Seconds of a Retry-After header; None if there is none, or a date (which no registry sends)."""
    if header is None or not (header.isascii() and header.strip().isdigit()):
        return None
    return float(min(int(header[:9]), 1 << 30))
