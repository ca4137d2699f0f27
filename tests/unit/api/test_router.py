"""From a method and a path to a handler and its parameters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.api.router import MAXIMUM, Route, Router, split_version
from pysup.supervisor.api.routes import ALL_ROUTES
from pysup.supervisor.api.wire import Query, Request, Response
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.errors import BadRequest


def request(method: str, path: str) -> Request:
    return Request(method, path, Query(""), {}, Caller(0, 1, "test"), lambda: iter(()), MAXIMUM)  # type: ignore[arg-type, return-value]


async def show(_engine: Any, found: Request) -> Response:
    return Response(body=json.dumps(dict(found.params)).encode())


ROUTER = Router(
    [
        Route("GET", "/things/json", show),
        Route("GET", "/things/{id}", show),
        Route("DELETE", "/things/{id}", show),
        Route("GET", "/images/{name*}/json", show),
        Route("POST", "/a.b", show),
    ]
)


async def answered(method: str, path: str) -> Response:
    answer = await ROUTER.answer(None, request(method, path))  # type: ignore[arg-type]
    assert isinstance(answer, Response)
    return answer


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/things/json", {}),
        ("/things/x", {"id": "x"}),
        ("/things/a%2Fb%20c", {"id": "a/b c"}),
        ("/things/%ff", {"id": "\ufffd"}),
        ("/images/a/b/c/json", {"name": "a/b/c"}),
        ("/images/a%3A1/json", {"name": "a:1"}),
    ],
)
async def test_the_first_route_that_fits(path: str, params: dict[str, str]) -> None:
    answer = await answered("GET", path)
    assert (answer.status, json.loads(answer.body)) == (200, params)


@pytest.mark.parametrize("path", ["/", "", "/things", "/things/", "/things/a/b", "/axb", "/things/json/"])
async def test_no_such_page(path: str) -> None:
    answer = await answered("POST", path)
    assert (answer.status, json.loads(answer.body)) == (404, {"message": "page not found"})


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/things/x", "DELETE, GET"), ("GET", "/a.b", "POST"), ("PUT", "/things/json", "DELETE, GET")],
)
async def test_what_is_allowed_is_said(method: str, path: str, allowed: str) -> None:
    answer = await answered(method, path)
    assert (answer.status, list(answer.headers)) == (405, [("Allow", allowed)])
    assert method in json.loads(answer.body)["message"]


@given(st.text("abc/%0189._-", max_size=20))
def test_a_path_without_a_version_stays(path: str) -> None:
    assert split_version("/" + path) == (MAXIMUM, "/" + path)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v1.40/info", ((1, 40), "/info")),
        ("/v1.47/", ((1, 47), "/")),
        ("/v1.47", (MAXIMUM, "/v1.47")),
        ("/v1.x/info", (MAXIMUM, "/v1.x/info")),
        ("/v1.4444/info", (MAXIMUM, "/v1.4444/info")),
    ],
)
def test_versions(path: str, found: tuple[tuple[int, int], str]) -> None:
    assert split_version(path) == found


@pytest.mark.parametrize("version", ["1.39", "1.48", "2.0", "0.0", "999.999"])
def test_versions_that_are_not_spoken(version: str) -> None:
    with pytest.raises(BadRequest, match=f"client version {version} is too "):
        split_version(f"/v{version}/info")


def test_no_route_hides_another() -> None:
    """A pattern's own example is answered by the route itself, not by one before it."""
    for route in ALL_ROUTES:
        example = (
            route.pattern.replace("{name*}", "some/name").replace("{id}", "some-id").replace("{name}", "n")
        )
        fitting = next(each for each in ALL_ROUTES if each.method == route.method and _fits(each, example))
        assert fitting.pattern == route.pattern


def _fits(route: Route, path: str) -> bool:
    return Router([route])._methods(path) == [route.method]
