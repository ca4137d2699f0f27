"""What a registry's refusals and a network's failures are called: ``cannot <task>: <cause>``. Pure.

A registry is a stranger: what it says is cut and cleaned before it comes near a terminal.
"""

from __future__ import annotations

import json
import os
import ssl

from pysup.supervisor.errors import Forbidden, NotFound, PysupError, Unavailable

_SHOWN = 300
_REASONS = {
    429: "too many requests",
    500: "the registry has an internal error",
    502: "the registry cannot be reached behind its gateway",
    503: "the registry is not available",
    504: "the registry does not answer its gateway",
}
# Not Unauthorized: docker's command line answers that by asking for a password, whoever types it or not.
_CLASSES: dict[int, tuple[type[PysupError], str]] = {
    401: (Forbidden, "authentication required (try: login REGISTRY)"),
    403: (Forbidden, "access denied"),
    404: (NotFound, "not found"),
}


class Retriable(Exception):
    """A failure that another try may not have. It is told as ``told`` when there is no other try."""

    def __init__(self, told: PysupError, after: float | None = None, *, progressed: bool = False) -> None:
        super().__init__(str(told))
        self.told = told
        self.after = after
        """Seconds that the registry asks to wait."""
        self.progressed = progressed
        """Whether something has come that need not come again: then tries are counted anew."""


def refusal(task: str, status: int, content: bytes) -> PysupError:
    """An answer that is none of those that were hoped for."""
    kind, cause = _CLASSES.get(status, (Unavailable, _REASONS.get(status, f"the registry answered {status}")))
    said = message_of(content)
    return kind(f"cannot {task}: {cause}{': ' * bool(said)}{said}")


def message_of(content: bytes) -> str:
    """The registry's own words (distribution-spec, Error Codes), or a token server's; empty if there are none."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict):
        return ""
    errors = document.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else document
    if not isinstance(first, dict):
        return ""
    texts = (first.get(name) for name in ("message", "error_description", "details", "error", "code"))
    return next((clean(text) for text in texts if isinstance(text, str) and text), "")


def clean(text: str) -> str:
    """One line that can be printed."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:_SHOWN]).strip()


def cause_of(error: BaseException) -> str:
    """Why a connection failed: the innermost reason, which libraries wrap several times."""
    reasons = [reason for one in _chain(error) if (reason := _reason(one))]
    return clean(reasons[-1]) if reasons else clean(str(error)) or type(error).__name__


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        inner = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else None
        error = inner or error.__cause__ or error.__context__
    return found


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {getattr(error, 'reason', '') or error}"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)  # getaddrinfo's
    return ""
