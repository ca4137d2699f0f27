"""The SDK for asyncio and trio programs: the same core over anyio streams.

    async with connect() as pysup:
        container = await pysup.create("host", ["sleep", "5"], name="nap")
        await pysup.start(container)
        print(await pysup.wait(container))

Every exchange has a connection of its own, so any number of tasks may share one Pysup. Errors are those of
pysup.supervisor.errors; a daemon that cannot be reached, or closes a connection too early, is Unavailable.

What comes as a stream, logs() and events(), is iterated over; whoever leaves it early does so in a with block:

    async with pysup.logs("web", follow=True) as lines:
        async for stream, data in lines:
            break
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

import anyio
from anyio.abc import SocketStream, UNIXSocketStream

from pysup.supervisor.client import core, tls
from pysup.supervisor.client.aio_streams import Attached, JsonLines, Opened, Streaming
from pysup.supervisor.client.core import Query, container_path
from pysup.supervisor.client.responses import Lost
from pysup.supervisor.errors import Unavailable
from pysup.supervisor.settings import socket_to_use

Json = dict[str, Any]


class ExecResult(NamedTuple):
    """What a command inside a container did."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@asynccontextmanager
async def connect(address: str = "") -> AsyncIterator[Pysup]:
    """A daemon's API. ``address``: unix:///PATH, /PATH or tcp://HOST:PORT (TLS as the environment says: core.py).

    Without one: PYSUP_SOCKET, PYSUP_RUN, DOCKER_HOST, else the daemon's default socket. Raises Unavailable if
    nobody answers.
    """
    pysup = Pysup(address or core.named_host() or socket_to_use())
    await pysup.version()
    yield pysup


def _create_body(
    image: str, command: Sequence[str], host_config: Mapping[str, Any] | None, config: Mapping[str, Any]
) -> Json:
    return {"Image": image, "Cmd": list(command) or None, **config, "HostConfig": dict(host_config or {})}


class Pysup:
    """One daemon. Names and ids of containers are taken everywhere, ids by unique prefix."""

    def __init__(self, address: str) -> None:
        self._shown = address
        self._address = core.parse_address(address)

    # -- exchanges -------------------------------------------------------------------------------------------

    async def call(self, method: str, path: str, *, query: Query = None, body: object = None) -> Any:  # noqa: ANN401
        """Any operation of the API that has a whole answer: its JSON, None if it is empty."""
        async with await self._begin(method, path, query, body) as opened:
            return core.document_of(await opened.whole())

    def stream(self, path: str, *, query: Query = None) -> Streaming[tuple[int, bytes]]:
        """Output as (1 stdout | 2 stderr, bytes), as it comes."""
        return Streaming(partial(self._begin, "GET", path, query), lambda opened: opened.frames().feed)

    async def _begin(
        self, method: str, path: str, query: Query, body: object = None, *, upgrade: bool = False
    ) -> Opened:
        """Send a request and read the head of the answer. Close what it gives."""
        data = core.request(method, path, query=query, body=body, upgrade=upgrade)
        opened = Opened(await self._connect())
        try:
            with suppress(Lost):  # refused before all of it was sent: the answer says why
                await opened.send(data)
            await opened.read_head()
        except BaseException:
            await opened.aclose()
            raise
        return opened

    async def _connect(self) -> SocketStream:
        address = self._address
        try:
            if address.path:
                return await anyio.connect_unix(address.path)
            if address.tls is not None:
                connect = partial(tls.connect, address.host, address.port, address.tls, self._shown)
                return await UNIXSocketStream.from_socket(await anyio.to_thread.run_sync(connect))
            return await anyio.connect_tcp(address.host, address.port)
        except OSError as error:
            cause = error.strerror or str(error)
            raise Unavailable(f"cannot connect to the daemon at {self._shown}: {cause}") from None

    # -- the daemon ------------------------------------------------------------------------------------------

    async def version(self) -> Json:
        """GET /version."""
        found: Json = await self.call("GET", "/version")
        return found

    async def info(self) -> Json:
        """GET /info."""
        found: Json = await self.call("GET", "/info")
        return found

    async def images(self) -> list[Json]:
        """GET /images/json."""
        found: list[Json] = await self.call("GET", "/images/json")
        return found

    def events(self, *, since: float | None = None, until: float | None = None) -> Streaming[Json]:
        """Events as they happen, from ``since`` (seconds since the epoch; None: now) to ``until``."""
        limits = {"since": since, "until": until}
        query = {name: str(time) for name, time in limits.items() if time is not None}
        return Streaming(partial(self._begin, "GET", "/events", query), lambda _opened: JsonLines().feed)

    # -- containers ------------------------------------------------------------------------------------------

    async def containers(self, *, everything: bool = False) -> list[Json]:
        """The running containers, or all of them."""
        found: list[Json] = await self.call(
            "GET", "/containers/json", query={"all": "1"} if everything else None
        )
        return found

    async def create(
        self,
        image: str,
        command: Sequence[str] = (),
        *,
        name: str = "",
        host_config: Mapping[str, Any] | None = None,
        **config: Any,  # noqa: ANN401 - docker's own field names: Env, User, WorkingDir, Tty, …
    ) -> str:
        """Make a container; its id. ``config`` and ``host_config`` have docker's field names."""
        return await self._made("/containers/create", name, _create_body(image, command, host_config, config))

    async def run(
        self,
        image: str,
        command: Sequence[str] = (),
        *,
        name: str = "",
        host_config: Mapping[str, Any] | None = None,
        **config: Any,  # noqa: ANN401 - as create()
    ) -> str:
        """create() and start() in one exchange; the id. A container that cannot be started does not stay."""
        return await self._made("/pysup/run", name, _create_body(image, command, host_config, config))

    async def _made(self, path: str, name: str, body: Json) -> str:
        made: Json = await self.call("POST", path, query={"name": name} if name else None, body=body)
        return str(made["Id"])

    async def start(self, container: str) -> None:
        """Start it; returns when its process runs."""
        await self.call("POST", container_path(container, "start"))

    async def stop(self, container: str, *, seconds: float | None = None) -> None:
        """Stop signal, then SIGKILL after ``seconds`` (None: the container's own); returns when it has ended.

        The API counts whole seconds: a fraction is rounded up.
        """
        query = None if seconds is None else {"t": str(math.ceil(seconds))}
        await self.call("POST", container_path(container, "stop"), query=query)

    async def restart(self, container: str) -> None:
        """Stop it if it runs, then start it."""
        await self.call("POST", container_path(container, "restart"))

    async def kill(self, container: str, signal: str = "KILL") -> None:
        """Send a signal to its first process."""
        await self.call("POST", container_path(container, "kill"), query={"signal": signal})

    async def wait(self, container: str, condition: str = "not-running") -> int:
        """The exit code once it is ``not-running``, at its ``next-exit``, or when it is ``removed``."""
        query = {"condition": condition}
        answer: Json = await self.call("POST", container_path(container, "wait"), query=query)
        return int(answer["StatusCode"])

    async def remove(self, container: str, *, force: bool = False) -> None:
        """Remove it; force kills it first."""
        await self.call("DELETE", container_path(container), query={"force": "1"} if force else None)

    async def inspect(self, container: str) -> Json:
        """Docker's inspect document."""
        found: Json = await self.call("GET", container_path(container, "json"))
        return found

    async def history(self, container: str) -> Sequence[Json]:
        """Every run: when, how long, how it ended."""
        found: Sequence[Json] = await self.call("GET", "/pysup" + container_path(container, "history"))
        return found

    def logs(
        self, container: str, *, follow: bool = False, tail: int | None = None
    ) -> Streaming[tuple[int, bytes]]:
        """Lines of the log as (1 stdout | 2 stderr, bytes)."""
        query = {"stdout": "1", "stderr": "1", "tail": "all" if tail is None else str(tail)}
        return self.stream(
            container_path(container, "logs"), query=query | ({"follow": "1"} if follow else {})
        )

    @asynccontextmanager
    async def attach(self, container: str) -> AsyncIterator[Attached]:
        """The container's streams: output from now on, and its stdin if it has one."""
        query = {"stream": "1", "stdin": "1", "stdout": "1", "stderr": "1", "resumable": "1"}
        path = container_path(container, "attach")
        async with await self._begin("POST", path, query, upgrade=True) as opened:
            yield Attached(opened)

    async def exec(self, container: str, command: Sequence[str], **options: Any) -> ExecResult:  # noqa: ANN401 - docker's fields
        """Run a command inside a running container to its end. Raises Lost if its output was broken off."""
        body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, **options}
        output: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        path = f"/pysup{container_path(container, 'exec')}"
        async with await self._begin("POST", path, None, body, upgrade=True) as opened:
            attached = Attached(opened)
            async for stream, data in attached:
                output[stream] += data
        return ExecResult(int(attached.end["ExitCode"]), bytes(output[1]), bytes(output[2]))
