"""One conversation with a registry, in this process: what a daemon would wait a minute for."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from helpers.hostile_registry import (
    Content,
    Handler,
    HostileRegistry,
    answers,
    gives,
    mounts_nothing,
    waits_for,
)
from helpers.images import Image, layer

from pysup.supervisor.errors import PysupError, Unavailable
from pysup.supervisor.images.content import Content as Store
from pysup.supervisor.images.layers import make_directories
from pysup.supervisor.images.registry.authority import Authority
from pysup.supervisor.images.registry.challenges import Challenge
from pysup.supervisor.images.registry.credentials import NOBODY, Credentials
from pysup.supervisor.images.registry.endpoints import Endpoint
from pysup.supervisor.images.registry.session import Session, open_session
from pysup.supervisor.images.registry.tags import tags
from pysup.supervisor.images.registry.uploading import Outgoing, upload
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


# -- secrets go to the registry alone ------------------------------------------------------------------------

ANNA = Credentials("anna", "secret")
CHALLENGE = {"WWW_Authenticate": 'Basic realm="tests"'}


@contextlib.asynccontextmanager
async def session_of_anna(registry: HostileRegistry) -> AsyncIterator[Session]:
    opened = open_session(
        Endpoint(f"http://{registry.host}", verified=False),
        ssl.create_default_context(),
        task="push a",
        credentials=ANNA,
        wanted=(),
        attempts=1,
    )
    async with opened as session:
        yield session


def given_to(registry: HostileRegistry) -> list[str | None]:
    """The password, as often as it came."""
    return [one.headers.get("Authorization") for one in registry.asked]


async def test_a_redirect_takes_no_password_along() -> None:
    blob = "/v2/a/blobs/x"
    with HostileRegistry() as registry, HostileRegistry() as store:
        store.misbehave(blob, gives(b"content"))
        elsewhere = answers(307, Location=f"http://{store.host}{blob}")
        registry.misbehave(blob, answers(401, **CHALLENGE), elsewhere)
        async with session_of_anna(registry) as session:
            assert (await session.ask("GET", blob, expected=(200,))).content == b"content"
        assert given_to(registry) == [None, ANNA.basic] and given_to(store) == [None]


async def test_an_upload_elsewhere_takes_no_password_along(tmp_path: Path) -> None:
    make_directories(str(tmp_path))
    content = Store(str(tmp_path))
    blob = content.add_bytes(b"content")
    outgoing = Outgoing("a", blob, partial(content.open, blob.digest))
    place = "/v2/a/blobs/uploads/"
    with HostileRegistry() as registry, HostileRegistry() as store:
        elsewhere = mounts_nothing(f"http://{store.host}{place}7")
        store.misbehave(f"PUT {place}7", answers(201))
        registry.misbehave(f"POST {place}", answers(401, **CHALLENGE), elsewhere)
        async with session_of_anna(registry) as session:
            await upload(session, outgoing, lambda _size: None)
        assert given_to(registry) == [None, None, ANNA.basic] and given_to(store) == [None]


@pytest.mark.parametrize(
    ("realm", "cause"),
    [
        ("http://tokens.example/", "wants the password to be sent without TLS"),
        ("file:///etc/passwd", "names no place for tokens"),
        ("nonsense", "names no place for tokens"),
    ],
)
async def test_a_place_for_tokens_that_gets_no_password(realm: str, cause: str) -> None:
    async with httpx.AsyncClient() as client:
        authority = Authority(client, "pull a", ANNA, ())
        with pytest.raises(PysupError, match=f"cannot pull a: the registry {cause}"):
            await authority.answer([Challenge("bearer", {"realm": realm})], used="", secure=True)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"token": 7}', b'{"token": "two\\nlines"}', b"[" * 9999]
)
async def test_what_is_no_token(body: bytes) -> None:
    with HostileRegistry() as registry:
        registry.misbehave("/token", gives(body))
        challenge = f'Bearer realm="http://{registry.host}/token"'
        registry.misbehave("/v2/x", answers(401, WWW_Authenticate=challenge))
        async with session_of_anna(registry) as session:
            with pytest.raises(Unavailable, match="token server gave no token"):
                await session.ask("GET", "/v2/x", expected=(200,))
