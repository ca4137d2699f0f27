"""What run, start -a, attach and exec share around an attached stream and its session."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pysup.supervisor.cli.connection import Client, path
from pysup.supervisor.cli.sessions import signals
from pysup.supervisor.cli.sessions.session import STDIN
from pysup.supervisor.cli.tty import Size
from pysup.supervisor.errors import PysupError


class NoPoll(PysupError):
    """This platform cannot wait for a terminal and a connection at once, as poll(2) does."""

    def __init__(self) -> None:
        super().__init__(
            "cannot attach: this platform has no poll(2); run with --detach, and read the output with logs -f"
        )


class NoTerminal(PysupError):
    """A terminal is asked for and standard input is none (docker: exit code 1)."""

    def __init__(self) -> None:
        super().__init__("cannot attach to a terminal: the input device is not a TTY")


def check_terminal(*, tty: bool, stdin: bool) -> None:
    """Refuse -it where standard input is no terminal. Raises NoTerminal, NoPoll."""
    if not hasattr(select, "poll"):
        raise NoPoll
    if tty and stdin and not os.isatty(STDIN):
        raise NoTerminal


def attach_query(*, stdin: bool, stdout: bool, stderr: bool, detach_keys: str) -> dict[str, str]:
    """The query of POST attach."""
    wanted = {"stream": True, "stdin": stdin, "stdout": stdout, "stderr": stderr}
    query = {name: "1" for name, on in wanted.items() if on}
    return query | {"resumable": "1"} | ({"detachKeys": detach_keys} if detach_keys else {})


def forwarder(client: Client, container: str) -> Callable[[int], None]:
    """Sends a signal on to a container. One that has ended by now, or is not started yet, does not get it."""

    def forward(number: int) -> None:
        with suppress(PysupError):
            client.post(path(container, "kill"), query={"signal": signals.api_name(number)})

    return forward


def resizer(client: Client, where: str) -> Callable[[Size], None]:
    """Tells the daemon a terminal's size. What has just ended, or is about to start, needs no size."""

    def resize(size: Size) -> None:
        with suppress(PysupError):
            client.post(f"{where}/resize", query={"h": str(size.rows), "w": str(size.columns)})

    return resize


def told_to_leave() -> int:
    """The detach keys were typed: attach and exec, which wanted to see an end, say so and give docker's code."""
    print("read escape sequence", file=sys.stderr)
    return 1


def exit_code(answer: Any) -> int:
    """The exit code in the body of a wait. Raises PysupError if the waiting itself failed."""
    failure = (answer.get("Error") or {}).get("Message")
    if failure:
        raise PysupError(failure)
    return int(answer["StatusCode"])
