"""Secrets: list, inspect, create, remove. Docker's own /secrets are a swarm's (routes/absent.py)."""

from __future__ import annotations

from sqlite3 import Connection
from typing import Any

from pysup.store import secrets
from pysup.supervisor.api.render.secret import secret
from pysup.supervisor.api.router import Route
from pysup.supervisor.api.wire import Request, Response, empty, json_response
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.secrets import decoded

_CREATE = "create secret"


async def list_secrets(engine: Engine, _request: Request) -> Response:
    """GET /pysup/secrets."""
    return json_response(await engine.parts.store.query(_all))


def _all(conn: Connection) -> list[dict[str, Any]]:
    return [secret(row, secrets.users(conn, row.name)) for row in secrets.list_secrets(conn)]


async def get_secret(engine: Engine, request: Request) -> Response:
    """GET /pysup/secrets/{name}."""
    row = engine.parts.secrets.get(request.params["name"])
    return json_response(secret(row, secrets.users(engine.parts.store.read(), row.name)))


async def create_secret(engine: Engine, request: Request) -> Response:
    """POST /pysup/secrets/create: ``{"Name", "Data" (base64), "Labels"}``."""
    body = Fields(_CREATE, await request.json())
    value = decoded(body.raw("Data"), _CREATE)
    labels = body.mapping("Labels")
    row = await engine.parts.secrets.create(body.text("Name"), value, labels, request.caller)
    return json_response(secret(row, ()), 201)


async def remove_secret(engine: Engine, request: Request) -> Response:
    """DELETE /pysup/secrets/{name}."""
    await engine.parts.secrets.remove(request.params["name"], request.caller)
    return empty()


ROUTES = (
    Route("GET", "/pysup/secrets", list_secrets),
    Route("POST", "/pysup/secrets/create", create_secret),
    Route("GET", "/pysup/secrets/{name}", get_secret),
    Route("DELETE", "/pysup/secrets/{name}", remove_secret),
)
