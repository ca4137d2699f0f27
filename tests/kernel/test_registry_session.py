"""One conversation with a registry, in this process: what a daemon would wait a minute for."""

from __future__ import annotations

import ssl
import threading

import pytest
from helpers.hostile_registry import Content, Handler, HostileRegistry, answers, waits_for
from helpers.images import Image, layer

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.images.registry.credentials import NOBODY
from pysup.supervisor.images.registry.endpoints import Endpoint
from pysup.supervisor.images.registry.session import open_session
from pysup.supervisor.images.registry.tags import tags
from pysup.supervisor.spec.reference import parse_reference

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("late", [0, 10])
async def test_a_registry_that_falls_silent(late: int) -> None:
    """Before its answer, and in the middle of it."""
    end = threading.Event()

    def act(handler: Handler, _content: Content) -> None:
        if late:
            handler.send_head(Content(b"x" * 100))
            handler.wfile.write(b"x" * late)
        waits_for(end, answers(200))(handler, Content(b""))

    with HostileRegistry() as registry:
        registry.misbehave("/v2/silent", act)
        endpoint = Endpoint(f"http://{registry.host}", verified=False)
        opened = open_session(
            endpoint,
            ssl.create_default_context(),
            task="pull x",
            credentials=NOBODY,
            wanted=(),
            attempts=1,
            silent_for=0.2,
        )
        async with opened as session:
            with pytest.raises(Unavailable, match=f"cannot pull x: {registry.host}: it does not answer"):
                await session.ask("GET", "/v2/silent", expected=(200,))
        end.set()


async def test_tags_come_in_pages() -> None:
    with HostileRegistry() as registry:
        endpoint = Endpoint(f"http://{registry.host}", verified=False)
        for tag in ("one", "two", "three"):
            registry.add("a", tag, Image([layer()]))
        opened = open_session(
            endpoint, ssl.create_default_context(), task="pull a", credentials=NOBODY, wanted=()
        )
        async with opened as session:
            found = await tags(session, parse_reference(f"{registry.host}/a"))
            assert [one.tag for one in found] == ["one", "three", "two"]
            pages = [one.path for one in registry.asked]
            assert pages == ["/v2/a/tags/list", "/v2/a/tags/list?last=one", "/v2/a/tags/list?last=three"]
            registry.misbehave("/v2/a/tags/list", answers(200))
            with pytest.raises(Unavailable, match="list of tags is none"):
                await tags(session, parse_reference(f"{registry.host}/a"))
