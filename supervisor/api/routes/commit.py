"""Commit: an image of what a container has written."""

from __future__ import annotations

from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes.images import named
from pysup.supervisor.api.wire import Request, Response, json_response
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.engine.images.commit import Wanted
from pysup.supervisor.errors import BadRequest


async def commit_container(engine: Engine, request: Request) -> Response:
    """POST /commit?container=&repo=&tag=&comment=&author=&changes=&pause=; the body: a Config laid over its own."""
    query = request.query
    if not query.text("container"):
        raise BadRequest("cannot commit: no container was given")
    config = await request.json()
    if not isinstance(config, dict):
        raise BadRequest("cannot commit: the body must be an object")
    wanted = Wanted(
        name=named(query.text("repo"), query.text("tag"), "commit") if query.text("repo") else None,
        config=config,
        changes=query.values("changes"),
        author=query.text("author"),
        message=query.text("comment"),
        pause=query.flag("pause", default=True),
    )
    return json_response({"Id": await engine.commit(query.text("container"), wanted, request.caller)}, 201)


ROUTES = (Route("POST", "/commit", commit_container),)
"""Commit alone."""
