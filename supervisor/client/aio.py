"""The SDK for asyncio and trio programs: the same core over anyio streams.

    async with connect() as pysup:
        container = await pysup.create("host", ["sleep", "5"], name="nap")
        await pysup.start(container)
        print(await pysup.wait(container))

Every exchange has a connection of its own, so any number of tasks may share one Pysup. Errors are those of
pysup.supervisor.errors; a daemon that cannot be reached is Unavailable.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
from anyio.abc import SocketStream

from pysup.supervisor.client import core
from pysup.supervisor.client.core import Frames, Query, Response
from pysup.supervisor.errors import Unavailable
from pysup.supervisor.settings import from_environment

Json = dict[str, Any]


class ExecResult(NamedTuple):
    """What a command inside a container did."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@asynccontextmanager
async def connect(address: str = "") -> AsyncIterator[Pysup]:
    """A daemon's API. ``address``: unix:///PATH, /PATH or tcp://HOST:PORT.

    Without one: PYSUP_SOCKET, DOCKER_HOST, else the daemon's default socket. Raises Unavailable if nobody answers.
    """
    named = os.environ.get("DOCKER_HOST", "") if "PYSUP_SOCKET" not in os.environ else ""
    pysup = Pysup(address or named or from_environment().socket_path)
    await pysup.version()
    yield pysup


class Pysup:
    """One daemon. Names and ids of containers are taken everywhere, ids by unique prefix."""

    def __init__(self, address: str) -> None:
        self._shown = address
        self._address = core.parse_address(address)

    # -- exchanges -------------------------------------------------------------------------------------------

    async def call(self, method: str, path: str, *, query: Query = None, body: object = None) -> Any:  # noqa: ANN401
        """Any operation of the API that has a whole answer: its JSON, None if it is empty."""
        async with self._begun(method, path, query, body) as opened:
            return core.document_of(b"".join([piece async for piece in opened.pieces()]))

    async def stream(self, path: str, *, query: Query = None) -> AsyncIterator[tuple[int, bytes]]:
        """Output as (1 stdout | 2 stderr, bytes), as it comes. Close it (aclosing) if you leave it early."""
        async with self._begun("GET", path, query) as opened:
            frames = Frames(multiplexed=opened.multiplexed)
            async for piece in opened.pieces():
                for frame in frames.feed(piece):
                    yield frame

    @asynccontextmanager
    async def _begun(
        self, method: str, path: str, query: Query, body: object = None, *, upgrade: bool = False
    ) -> AsyncIterator[_Opened]:
        async with await self._open() as stream:
            await stream.send(core.request(method, path, query=query, body=body, upgrade=upgrade))
            opened = _Opened(stream)
            await opened.read_head()
            yield opened

    async def _open(self) -> SocketStream:
        address = self._address
        try:
            if address.path:
                return await anyio.connect_unix(address.path)
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

    async def events(self, *, since: float | None = None, until: float | None = None) -> AsyncIterator[Json]:
        """Events as they happen, from ``since`` (seconds since the epoch; None: now) to ``until``."""
        limits = {"since": since, "until": until}
        query = {name: str(time) for name, time in limits.items() if time is not None}
        async with self._begun("GET", "/events", query) as opened:
            line = b""
            async for piece in opened.pieces():
                *whole, line = (line + piece).split(b"\n")
                for text in whole:
                    if text.strip():
                        yield json.loads(text)

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
        body = {"Image": image, "Cmd": list(command) or None, **config, "HostConfig": dict(host_config or {})}
        query = {"name": name} if name else None
        made: Json = await self.call("POST", "/containers/create", query=query, body=body)
        return str(made["Id"])

    async def run(self, image: str, command: Sequence[str] = (), **options: Any) -> str:  # noqa: ANN401 - as create()
        """create() and start(); the id."""
        container = await self.create(image, command, **options)
        await self.start(container)
        return container

    async def start(self, container: str) -> None:
        """Start it; returns when its process runs."""
        await self.call("POST", f"/containers/{container}/start")

    async def stop(self, container: str, *, seconds: float | None = None) -> None:
        """Stop signal, then SIGKILL after ``seconds`` (None: the container's own); returns when it has ended."""
        query = None if seconds is None else {"t": str(seconds)}
        await self.call("POST", f"/containers/{container}/stop", query=query)

    async def restart(self, container: str) -> None:
        """Stop it if it runs, then start it."""
        await self.call("POST", f"/containers/{container}/restart")

    async def kill(self, container: str, signal: str = "KILL") -> None:
        """Send a signal to its first process."""
        await self.call("POST", f"/containers/{container}/kill", query={"signal": signal})

    async def wait(self, container: str, condition: str = "not-running") -> int:
        """The exit code once it is ``not-running``, at its ``next-exit``, or when it is ``removed``."""
        query = {"condition": condition}
        answer: Json = await self.call("POST", f"/containers/{container}/wait", query=query)
        return int(answer["StatusCode"])

    async def remove(self, container: str, *, force: bool = False) -> None:
        """Remove it; force kills it first."""
        await self.call("DELETE", f"/containers/{container}", query={"force": "1"} if force else None)

    async def inspect(self, container: str) -> Json:
        """Docker's inspect document."""
        found: Json = await self.call("GET", f"/containers/{container}/json")
        return found

    async def history(self, container: str) -> Sequence[Json]:
        """Every run: when, how long, how it ended."""
        found: Sequence[Json] = await self.call("GET", f"/pysup/containers/{container}/history")
        return found

    def logs(
        self, container: str, *, follow: bool = False, tail: int | None = None
    ) -> AsyncIterator[tuple[int, bytes]]:
        """Lines of the log as (1 stdout | 2 stderr, bytes)."""
        query = {"stdout": "1", "stderr": "1", "tail": "all" if tail is None else str(tail)}
        return self.stream(f"/containers/{container}/logs", query=query | ({"follow": "1"} if follow else {}))

    @asynccontextmanager
    async def attach(self, container: str) -> AsyncIterator[Attached]:
        """The container's streams: output from now on, and its stdin if it has one."""
        query = {"stream": "1", "stdin": "1", "stdout": "1", "stderr": "1"}
        async with self._begun("POST", f"/containers/{container}/attach", query, upgrade=True) as opened:
            yield Attached(opened)

    async def exec(self, container: str, command: Sequence[str], **options: Any) -> ExecResult:  # noqa: ANN401 - docker's fields
        """Run a command inside a running container to its end."""
        body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, **options}
        made: Json = await self.call("POST", f"/containers/{container}/exec", body=body)
        output: dict[int, bytes] = {1: b"", 2: b""}
        async with self._begun(
            "POST", f"/exec/{made['Id']}/start", None, {"Detach": False}, upgrade=True
        ) as opened:
            async for stream, data in Attached(opened):
                output[stream] += data
        facts: Json = await self.call("GET", f"/exec/{made['Id']}/json")
        return ExecResult(int(facts["ExitCode"]), output[1], output[2])


class _Opened:
    """A response whose body is still to come."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.response = Response()
        self._early: list[bytes] = []

    async def read_head(self) -> None:
        """Wait for the head. Raises what an error answer tells of."""
        while not self.response.status:
            self._early += self.response.feed(await receive(self.stream))
        if self.response.status >= 300 and self.response.status != core.NOT_MODIFIED:  # noqa: PLR2004 - no success
            content = b"".join([piece async for piece in self.pieces()])
            raise core.error_of(self.response.status, content)

    @property
    def multiplexed(self) -> bool:
        """Whether stdout and stderr come in frames."""
        return self.response.headers.get("content-type", "") == core.MULTIPLEXED

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        early, self._early = self._early, []
        for piece in early:
            yield piece
        while not self.response.complete:
            for piece in self.response.feed(await receive(self.stream)):
                yield piece


class Attached:
    """The streams of a process. Iterate for its output, (1 stdout | 2 stderr, bytes), until it has ended."""

    def __init__(self, opened: _Opened) -> None:
        self._stream = opened.stream
        self._frames = Frames(multiplexed=opened.multiplexed)
        self._early = opened.response.rest

    async def __aiter__(self) -> AsyncIterator[tuple[int, bytes]]:
        data = self._early or await receive(self._stream)
        self._early = b""
        while data:
            for frame in self._frames.feed(data):
                yield frame
            data = await receive(self._stream)

    async def send(self, data: bytes) -> None:
        """Write to the process's stdin."""
        await self._stream.send(data)

    async def send_eof(self) -> None:
        """No more input; output still comes."""
        await self._stream.send_eof()


async def receive(stream: SocketStream) -> bytes:
    """What has come; b"" at the end."""
    try:
        return await stream.receive()
    except anyio.EndOfStream:
        return b""
