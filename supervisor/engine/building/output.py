"""What a build tells: docker's lines of JSON (moby api/server/backend/build, pkg/streamformatter)."""

from __future__ import annotations

import codecs
from collections.abc import Awaitable, Callable
from typing import Any

from pysup.supervisor.engine.progress import Step

Send = Callable[[dict[str, Any]], Awaitable[None]]
_STDERR = 2
_RED, _PLAIN = "\x1b[91m", "\x1b[0m"
"""Docker's own way to tell the standard error of a step."""
SHORT = slice(len("sha256:"), len("sha256:") + 12)


class Output:
    """Sends at once, or with ``quiet`` keeps what it would have sent, for the case that the build fails."""

    def __init__(self, send: Send, *, quiet: bool) -> None:
        self._send = send
        self._quiet = quiet
        self._kept: list[dict[str, Any]] = []
        self._decoders = {number: codecs.getincrementaldecoder("utf-8")("replace") for number in (1, _STDERR)}

    async def _tell(self, message: dict[str, Any]) -> None:
        if self._quiet:
            self._kept.append(message)
        else:
            await self._send(message)

    async def say(self, text: str) -> None:
        """One line for people."""
        await self._tell({"stream": text + "\n"})

    async def image(self, image_id: str) -> None:
        """`` ---> ID``."""
        await self.say(f" ---> {image_id[SHORT]}")

    async def result(self, image_id: str) -> None:
        """A stage's image, for programs."""
        await self._send({"aux": {"ID": image_id}})

    async def progress(self, step: Step) -> None:
        """Of a pull."""
        message: dict[str, Any] = {"status": step.status}
        if step.id:
            detail = {"current": step.current, "total": step.total} if step.total else {}
            message |= {"id": step.id, "progressDetail": detail}
        await self._tell(message)

    async def chunk(self, number: int, data: bytes) -> None:
        """What a step's command has written: 1 its output, 2 its errors. No sign of it is broken in two."""
        if text := self._decoders[number].decode(data):
            await self._tell({"stream": f"{_RED}{text}{_PLAIN}" if number == _STDERR else text})

    async def flush(self) -> None:
        """What was kept, before the failure is told."""
        self._quiet = False
        for message in self._kept:
            await self._send(message)

    async def last(self, text: str) -> None:
        """What is said with ``quiet``, too."""
        await self._send({"stream": text + "\n"})
