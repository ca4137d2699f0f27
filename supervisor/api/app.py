"""The API of one engine: every route, as the function that the server calls."""

from __future__ import annotations

from pysup.supervisor.api.router import Router
from pysup.supervisor.api.routes import ALL_ROUTES
from pysup.supervisor.api.server import App
from pysup.supervisor.api.wire import Answer, Request
from pysup.supervisor.engine.engine import Engine


def app_for(engine: Engine) -> App:
    """Bind the routes to an engine."""
    router = Router(ALL_ROUTES)

    async def app(request: Request) -> Answer:
        return await router.answer(engine, request)

    return app
