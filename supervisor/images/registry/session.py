"""One conversation with one registry over one endpoint: requests that are let in, and tried again where that helps."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
import trio

from pysup.supervisor import __version__
from pysup.supervisor.errors import Unavailable
from pysup.supervisor.images.registry import retries
from pysup.supervisor.images.registry.authority import Authority
from pysup.supervisor.images.registry.challenges import parse_challenges
from pysup.supervisor.images.registry.credentials import Credentials
from pysup.supervisor.images.registry.endpoints import Endpoint, host_name, is_loopback
from pysup.supervisor.images.registry.failures import Retriable, cause_of, refusal

T = TypeVar("T")
Body = Callable[[], AsyncIterator[bytes] | bytes]
"""Makes the body of a request, anew for each try."""

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs URLs, which may have signatures in them
_CONNECT_WITHIN, _SILENT_FOR = 15.0, 60.0
"""Seconds."""
_STORING = 10
"""Times as long: a registry that stores a big blob elsewhere is silent until that is done."""
_UNAUTHORIZED = 401
_MOST_OF_AN_ERROR = 64 << 10
_TRIES_TO_GET_IN = 3


class Answer(NamedTuple):
    """A small answer, whole."""

    status: int
    headers: httpx.Headers
    content: bytes


class Session:
    """To be closed by open_session()."""

    def __init__(
        self, client: httpx.AsyncClient, endpoint: Endpoint, task: str, authority: Authority, attempts: int
    ) -> None:
        self._client = client
        self._authority = authority
        self._attempts = attempts
        self._stored_within = httpx.Timeout(**client.timeout.as_dict())
        self._stored_within.read = client.timeout.read and client.timeout.read * _STORING
        self.endpoint = endpoint
        self.task = task
        """What is being done, for errors: ``pull alpine:3``."""

    @property
    def identity_token(self) -> str:
        """What buys tokens instead of the password; empty if none was asked for, or given."""
        return self._authority.identity_token

    # -- one try ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Body | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Send a request, let in if that is possible; the answer, whatever it is. ``url`` may be a path.

        Raises Retriable where the connection fails, Forbidden.
        """
        try:
            response = await self._let_in(method, urljoin(self.endpoint.url + "/", url), headers or {}, body)
            try:
                yield response
            finally:
                with trio.CancelScope(shield=True):
                    await response.aclose()
        except (httpx.TransportError, httpx.InvalidURL, httpx.TooManyRedirects) as error:
            raise self.broken(error) from error

    async def _let_in(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None
    ) -> httpx.Response:
        for _ in range(_TRIES_TO_GET_IN):
            used = self._authority.authorization
            response = await self._send(method, url, {**headers, **self._credentials(url, used)}, body)
            if response.status_code != _UNAUTHORIZED or not await self._answer(response, used):
                return response
            await response.aclose()
        return await self._send(method, url, headers, body)

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None
    ) -> httpx.Response:
        content, within = (body(), self._stored_within) if body else (None, self._client.timeout)
        request = self._client.build_request(method, url, headers=headers, content=content, timeout=within)
        return await self._client.send(request, stream=True, follow_redirects=body is None)

    def _credentials(self, url: str, authorization: str) -> dict[str, str]:
        """For the registry itself only: an upload may be sent elsewhere."""
        is_own = urlsplit(url)[:2] == urlsplit(self.endpoint.url)[:2]
        return {"Authorization": authorization} if is_own and authorization else {}

    async def _answer(self, response: httpx.Response, used: str) -> bool:
        challenges = parse_challenges(response.headers.get_list("www-authenticate"))
        return await self._authority.answer(
            challenges, used=used, secure=self.endpoint.url.startswith("https:")
        )

    def broken(self, error: Exception, *, progressed: bool = False) -> Retriable:
        """A connection that failed."""
        silent = "it does not answer" if isinstance(error, httpx.TimeoutException) else ""
        proxy = _proxy(self.endpoint)
        way = f" (through the proxy {proxy})" if proxy else ""
        told = Unavailable(f"cannot {self.task}: {self.endpoint.host}: {silent or cause_of(error)}{way}")
        return Retriable(told, progressed=progressed)

    # -- several tries ---------------------------------------------------------------------------------------

    async def retried(self, action: Callable[[], Awaitable[T]]) -> T:
        """What ``action`` gives, once it does not raise Retriable; PysupError when nothing helps."""
        failed = 0
        while True:
            try:
                return await action()
            except Retriable as error:
                failed = 0 if error.progressed else failed + 1
                pause = retries.pause(failed, self._attempts, error.after)
                if pause is None:
                    raise error.told from error
            await trio.sleep(pause)

    async def ask(
        self,
        method: str,
        url: str,
        *,
        expected: Sequence[int],
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        limit: int = _MOST_OF_AN_ERROR,
    ) -> Answer:
        """A request with a small answer of one of the expected statuses, tried again. Raises PysupError."""

        async def once() -> Answer:
            async with self.send(method, url, headers=headers, body=body) as response:
                await self.expect(response, expected)
                return Answer(response.status_code, response.headers, await self._read(response, limit))

        return await self.retried(once)

    async def expect(self, response: httpx.Response, expected: Sequence[int]) -> None:
        """Raises Retriable or the error for any other status."""
        if response.status_code in expected:
            return
        error = refusal(self.task, response.status_code, await self._begin_of(response))
        if retries.is_retried(response.status_code):
            raise Retriable(error, retries.retry_after(response.headers.get("retry-after")))
        raise error

    async def _begin_of(self, response: httpx.Response) -> bytes:
        """Of an error's text; where that is too long, or breaks off, there is none."""
        try:
            return await self._read(response, _MOST_OF_AN_ERROR)
        except (Unavailable, httpx.HTTPError):
            return b""

    async def _read(self, response: httpx.Response, limit: int) -> bytes:
        content = bytearray()
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > limit:
                raise Unavailable(
                    f"cannot {self.task}: {self.endpoint.host}: an answer has more than {limit} bytes"
                )
        return bytes(content)


@asynccontextmanager
async def open_session(
    endpoint: Endpoint,
    trust: ssl.SSLContext,
    *,
    task: str,
    credentials: Credentials,
    wanted: Sequence[str],
    attempts: int = retries.ATTEMPTS,
    silent_for: float = _SILENT_FOR,
    lasting: bool = False,
) -> AsyncIterator[Session]:
    """Talk to a registry; ``wanted``: the scopes of what is to be done; ``lasting``: as of Authority.

    Raises Unavailable: a proxy that is none.
    """
    direct = {f"all://{_pattern(endpoint.host)}": None} if is_loopback(endpoint.host) else None
    try:
        client = httpx.AsyncClient(
            verify=trust,
            mounts=direct,  # what is on this machine is behind no proxy, as in docker
            timeout=httpx.Timeout(silent_for, connect=_CONNECT_WITHIN, pool=None),
            headers={"User-Agent": f"pysup/{__version__}"},
        )
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        raise Unavailable(f"cannot {task}: the proxy of the environment is of no use: {error}") from None
    authority = Authority(client, task, credentials, wanted, lasting=lasting)
    async with client:
        yield Session(client, endpoint, task, authority, attempts)


def _proxy(endpoint: Endpoint) -> str:
    """``HOST:PORT`` of the environment's proxy that leads to a registry, as httpx chooses it; empty: none."""
    place = urlsplit(endpoint.url)
    if is_loopback(endpoint.host) or proxy_bypass(place.netloc):
        return ""
    found = getproxies()
    url = found.get(place.scheme) or found.get("all") or ""
    return url.rpartition("@")[2].rpartition("//")[2].rstrip("/")


def _pattern(host: str) -> str:
    name = host_name(host)
    return f"[{name}]" if ":" in name else name
