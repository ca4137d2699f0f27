"""``since`` and ``until`` of a query: unix times, maybe with a fraction."""

from __future__ import annotations

from pysup.supervisor.api.wire import Request
from pysup.supervisor.errors import BadRequest
from pysup.supervisor.spec.timestamps import parse_unix


def moment(request: Request, name: str) -> int | None:
    """Nanoseconds since the epoch; None if it is not there, or 0 (docker's "not given")."""
    text = request.query.text(name)
    if not text:
        return None
    try:
        return parse_unix(text) or None
    except ValueError as error:
        raise BadRequest(f"cannot read {name}: {error}") from None
