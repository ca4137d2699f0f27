"""From an error's class to a status: the one place where the two meet."""

from __future__ import annotations

import logging

from pysup.store.errors import StoreError
from pysup.supervisor.api.wire import Response, empty, json_response
from pysup.supervisor.errors import (
    COMMAND_NOT_FOUND,
    NOT_EXECUTABLE,
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    NotModified,
    NotSupported,
    PysupError,
    StartFailed,
    TooLarge,
    Unauthorized,
)

log = logging.getLogger(__name__)

STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (NotModified, 304),
    (NotSupported, 501),
    (TooLarge, 413),
    (BadRequest, 400),
    (NotFound, 404),
    (Conflict, 409),
    (Unauthorized, 401),
    (Forbidden, 403),
    (PysupError, 500),
    (StoreError, 500),
)
"""The first class that fits counts."""


def status_of(error: Exception) -> int:
    """Docker's status for an error; a command that cannot be executed is the client's fault."""
    if isinstance(error, StartFailed):
        return 400 if error.exit_code in {COMMAND_NOT_FOUND, NOT_EXECUTABLE} else 500
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def message_response(text: str, status: int) -> Response:
    """Docker's form of every error."""
    return json_response({"message": text}, status)


def error_response(error: Exception) -> Response:
    """``{"message": …}``; what nobody expected is logged here, once, with its traceback."""
    error = _alone(error)
    status = status_of(error)
    if status == 304:  # noqa: PLR2004 - Not Modified has no body (RFC 9110, 15.4.5)
        return empty(status)
    if not isinstance(error, PysupError | StoreError):
        log.error("unexpected error", exc_info=error)
        return message_response(f"cannot answer: internal error: {type(error).__name__}: {error}", 500)
    message: dict[str, object] = {"message": str(error)}
    if isinstance(error, StartFailed):
        message["exit_code"] = error.exit_code
    return json_response(message, status)


def _alone(error: Exception) -> Exception:
    """A nursery wraps the one error that a task of it raised; here it counts as what it is."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
