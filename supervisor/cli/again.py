"""Going on after the daemon's engine was killed: its socket stays, a new engine answers within a second.

What goes on is what waits: attached runs, logs -f, stop, wait, events; and pull and push, which find what was done. A
daemon that is gone for good (nobody listens any more), or that closes every connection, ends the command: one line,
exit code 125.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

from pysup.supervisor.cli.connection import Client
from pysup.supervisor.cli.failures import RunFailure
from pysup.supervisor.cli.flags import BAD_FLAG
from pysup.supervisor.client.responses import Lost
from pysup.supervisor.errors import NotFound, Unavailable

PAUSES = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each attempt. A connection waits in the listening socket until an engine takes it, so more than
one attempt is only needed where engines keep dying."""

T = TypeVar("T")


def again(attempt: Callable[[], T]) -> T:
    """What the attempt gives, once it is not cut off. Raises RunFailure (125) where the daemon is gone."""
    failure: Unavailable = Lost()
    for pause in PAUSES:
        time.sleep(pause)
        try:
            return attempt()
        except Lost as error:
            failure = error
        except Unavailable as error:
            failure = error
            break
    raise RunFailure(str(failure), BAD_FLAG) from None


def kept(begin: Callable[[], AbstractContextManager[Iterable[T]]]) -> Iterator[T]:
    """The items of an exchange that is begun anew wherever it was broken off; ``begin`` knows where that was."""
    with ExitStack() as stack:
        items = stack.enter_context(begin())
        while True:
            try:
                yield from items
            except Lost:
                stack.close()
                items = again(lambda: stack.enter_context(begin()))
            else:
                return


def repeated(client: Client, begin: Callable[[], Iterable[T]]) -> Iterator[T]:
    """The items of an exchange that is begun anew from its beginning: what was done is found, and not done again."""
    for _ in PAUSES:
        try:
            yield from begin()
        except Lost:
            again(lambda: client.get("/version"))
        else:
            return
    raise Lost


def _events(client: Client, container: str, action: str) -> list[Any]:
    """They outlive a container that removed itself while nobody could wait."""
    import json

    filters = json.dumps({"type": ["container"], "event": [action], "container": [container]})
    query = {"since": "1", "until": f"{time.time():.9f}", "filters": filters}
    return list(client.stream_json("GET", "/events", query=query))


def has_happened(client: Client, container: str, action: str) -> bool:
    """Whether there was such an event of a container, which may be gone."""
    return bool(_events(client, container, action))


def exit_code_of_removed(client: Client, container: str) -> int:
    """Of a container that removed itself while nobody could wait. Raises NotFound."""
    ends = _events(client, container, "die")
    if not ends:
        raise NotFound(f"cannot wait for container {container}: it was removed meanwhile")
    return int(ends[-1]["Actor"]["Attributes"]["exitCode"])


def wait_again(client: Client, container: str, condition: str, run: str = "") -> Any:
    """The answer of a wait that was cut off."""

    def attempt() -> Any:
        try:
            with client.wait(container, condition, run) as waiting:
                return waiting.result()
        except NotFound:
            return {"StatusCode": exit_code_of_removed(client, container)}

    return again(attempt)
