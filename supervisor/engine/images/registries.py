"""Registries as this daemon knows them: where they are, whom it trusts, and how much is done at once.

What talks HTTP is imported, in a thread, when the first registry is asked for: it takes 0.3 s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import trio

from pysup.supervisor.errors import PysupError
from pysup.supervisor.images.registry import tls
from pysup.supervisor.images.registry.credentials import NOBODY, Credentials
from pysup.supervisor.images.registry.endpoints import Endpoint, Policy, endpoints_for
from pysup.supervisor.images.registry.failures import Retriable
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.reference import HUB

if TYPE_CHECKING:
    from pysup.supervisor.images.registry.session import Session

T = TypeVar("T")


class Registries:
    """One for each daemon."""

    def __init__(self, settings: Settings) -> None:
        self.policy = Policy(settings.registry_mirrors, settings.insecure_registries)
        self._directories = (tls.DOCKER, settings.registry_certs)
        self._attempts = settings.max_download_attempts
        self.downloads = trio.CapacityLimiter(settings.max_concurrent_downloads)
        self.uploads = trio.CapacityLimiter(settings.max_concurrent_uploads)
        self._locks: defaultdict[str, trio.Lock] = defaultdict(trio.Lock)

    @asynccontextmanager
    async def alone(self, digest: str) -> AsyncIterator[None]:
        """Nobody else downloads this blob meanwhile."""
        lock = self._locks[digest]
        async with lock:
            yield
        if not lock.statistics().tasks_waiting and not lock.locked():
            self._locks.pop(digest, None)

    async def first(
        self,
        registry: str,
        task: str,
        use: Callable[[Session], Awaitable[T]],
        *,
        credentials: Credentials = NOBODY,
        wanted: Sequence[str] = (),
        writing: bool = False,
        lasting: bool = False,
    ) -> T:
        """What ``use`` gives with the first endpoint that it works with. Mirrors are for reading, and for nobody's
        password. ``lasting``: a token that buys others is wanted, too (Session.identity_token). Raises what the last
        endpoint did.
        """
        endpoints = [one for one in endpoints_for(registry, self.policy) if not (one.is_mirror and writing)]
        answered: PysupError | None = None
        for at, endpoint in enumerate(endpoints):
            is_last = at + 1 == len(endpoints)
            try:
                who = NOBODY if endpoint.is_mirror else credentials
                async with self._open(endpoint, task, who, wanted, lasting=lasting) as session:
                    await _reach(session)
                    return await use(session)
            except Retriable as error:
                if is_last:
                    raise _of_both(answered, error.told, task) from error
            except PysupError as error:
                if is_last or not endpoint.is_mirror:
                    raise
                answered = error
        raise AssertionError(f"no endpoint for {registry}")  # there is always one

    @asynccontextmanager
    async def _open(
        self,
        endpoint: Endpoint,
        task: str,
        credentials: Credentials,
        wanted: Sequence[str],
        *,
        lasting: bool,
    ) -> AsyncIterator[Session]:
        open_session = await trio.to_thread.run_sync(_opener)
        trust = await trio.to_thread.run_sync(
            partial(tls.context_for, endpoint.host, self._directories, verified=endpoint.verified)
        )
        opened = open_session(
            endpoint,
            trust,
            task=task,
            credentials=credentials,
            wanted=wanted,
            attempts=self._attempts,
            lasting=lasting,
        )
        async with opened as session:
            yield session


def _opener() -> Callable[..., AbstractAsyncContextManager[Session]]:
    from pysup.supervisor.images.registry.session import open_session  # noqa: PLC0415 - see above

    return open_session


def _of_both(mirrors: PysupError | None, last: PysupError, task: str) -> PysupError:
    """Where the registry itself cannot be reached, what its mirror has said is the news."""
    if mirrors is None:
        return last
    return type(mirrors)(f"{mirrors} ({str(last).removeprefix(f'cannot {task}: ')})")


async def _reach(session: Session) -> None:
    """Whether there is somebody at all (distribution-spec, Determining Support): that is not tried again, so that a
    name which is mistyped is told at once. Raises Retriable; Forbidden.
    """
    async with session.send("GET", "/v2/"):
        pass


def shown(registry: str) -> str:
    """As people call it."""
    return "docker.io" if registry == HUB else registry
