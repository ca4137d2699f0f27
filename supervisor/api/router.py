"""From a method and a path to the function that answers. Patterns: ``{id}`` one segment, ``{name*}`` one or more."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from pysup.supervisor.api.wire import Answer, Request, json_response
from pysup.supervisor.errors import BadRequest

if TYPE_CHECKING:
    from pysup.supervisor.engine.engine import Engine

MINIMUM, MAXIMUM = (1, 40), (1, 47)
_VERSION = re.compile(r"/v(\d{1,3})\.(\d{1,3})(/.*)", re.ASCII)
_PARAMETER = re.compile(r"\{(\w+)(\*?)\}")

Handler = Callable[["Engine", Request], Awaitable[Answer]]


class Route(NamedTuple):
    """One operation."""

    method: str
    pattern: str
    handler: Handler


class Router:
    """All routes of each method, tried in their order: the first that fits counts."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: defaultdict[str, list[tuple[re.Pattern[str], Handler]]] = defaultdict(list)
        for route in routes:
            self._routes[route.method].append((_compiled(route.pattern), route.handler))

    async def answer(self, engine: Engine, request: Request) -> Answer:
        """Find the handler and call it; 404 and 405 where there is none."""
        for pattern, handler in self._routes.get(request.method, ()):
            if match := pattern.fullmatch(request.path):
                params = {name: unquote(value) for name, value in match.groupdict().items()}
                return await handler(engine, replace(request, params=params))
        if allowed := self._methods(request.path):
            refusal = json_response({"message": f"method {request.method} is not allowed here"}, 405)
            return replace(refusal, headers=(("Allow", ", ".join(allowed)),))
        return json_response({"message": "page not found"}, 404)

    def _methods(self, path: str) -> list[str]:
        """Those that there is a route for."""
        fitting = (
            method
            for method, routes in self._routes.items()
            if any(pattern.fullmatch(path) for pattern, _ in routes)
        )
        return sorted(fitting)


def _compiled(pattern: str) -> re.Pattern[str]:
    parts, at = [], 0
    for found in _PARAMETER.finditer(pattern):
        parts += [re.escape(pattern[at : found.start()]), f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})"]
        at = found.end()
    return re.compile("".join(parts) + re.escape(pattern[at:]))


def split_version(path: str) -> tuple[tuple[int, int], str]:
    """``/v1.43/info`` to ((1, 43), "/info"). Raises BadRequest, in docker's words, for what is not spoken."""
    match = _VERSION.fullmatch(path)
    if match is None:
        return MAXIMUM, path
    version = int(match[1]), int(match[2])
    shown = f"{version[0]}.{version[1]}"
    if version > MAXIMUM:
        raise BadRequest(
            f"client version {shown} is too new. Maximum supported API version is {MAXIMUM[0]}.{MAXIMUM[1]}"
        )
    if version < MINIMUM:
        raise BadRequest(
            f"client version {shown} is too old. Minimum supported API version is {MINIMUM[0]}.{MINIMUM[1]}, "
            "please upgrade your client to a newer version"
        )
    return version, match[3]
