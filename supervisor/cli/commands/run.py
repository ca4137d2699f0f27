"""``pysup run`` and ``pysup create``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from pysup.supervisor.cli import connection, tty
from pysup.supervisor.cli.connection import Client, path
from pysup.supervisor.cli.failures import as_run_failure
from pysup.supervisor.cli.files.cidfile import CidFile
from pysup.supervisor.cli.flags import Given, Syntax
from pysup.supervisor.cli.once import first_start
from pysup.supervisor.cli.options import create_body, run_flags
from pysup.supervisor.cli.output import shown
from pysup.supervisor.cli.registries import fetching
from pysup.supervisor.cli.sessions import attached, detach
from pysup.supervisor.cli.sessions.following import follow
from pysup.supervisor.cli.sessions.session import Plan
from pysup.supervisor.errors import NotFound, PysupError

Start = Callable[[Client, str], None]

_WORDS = "[OPTIONS] IMAGE [COMMAND] [ARG...]"

CREATE = Syntax("create", _WORDS, "Create a new container", run_flags.CREATE, 0, None, interspersed=False)
RUN = Syntax(
    "run", _WORDS, "Create and run a new container from an image", run_flags.RUN, 0, None, interspersed=False
)


def create(argv: Sequence[str]) -> int:
    """``pysup create``: prints the id."""
    given = CREATE.parse(argv)
    with as_run_failure():
        body = create_body.build(given)
    client = connection.connect(start=not given.on("no-autostart"))
    with CidFile(given.text("cidfile")) as cidfile:
        container = make(client, given, body, cidfile)
    print(container)
    return 0


def run(argv: Sequence[str]) -> int:
    """``pysup run``."""
    given = RUN.parse(argv)
    detached = given.on("detach")
    with as_run_failure():
        body = create_body.build(given, detach=detached)
    detach.parse(given.text("detach-keys"))
    if not detached:
        attached.check_terminal(tty=given.on("tty"), stdin=body["AttachStdin"])
    with as_run_failure(), CidFile(given.text("cidfile")) as cidfile:
        client = connection.connect(start=not given.on("no-autostart"))
        container = make(client, given, _sized(body), cidfile)
        start = partial(_start, cidfile)
        if detached:
            return _start_detached(client, container, start)
        return _start_attached(client, container, given, body, start)


def make(client: Client, given: Given, body: dict[str, Any], cidfile: CidFile) -> str:
    """Create the container; its id. Warnings go to standard error."""
    query = {"name": given.text("name")} if given.text("name") else {}
    answer = fetching.create(client, given, body, query)
    cidfile.write(answer["Id"])
    for warning in answer.get("Warnings") or []:
        shown.complain(warning, "WARNING: ")
    return str(answer["Id"])


def _sized(body: dict[str, Any]) -> dict[str, Any]:
    """With the terminal's size, so that it is right from the first byte on."""
    now = tty.size() if body.get("Tty") else None
    if now:
        body["HostConfig"]["ConsoleSize"] = list(now)
    return body


def _start_detached(client: Client, container: str, start: Start) -> int:
    start(client, container)
    print(container)
    return 0


def _start(cidfile: CidFile, client: Client, container: str) -> None:
    """Start; a container that cannot be started was of no use to anybody: neither it nor its file stays."""
    try:
        first_start(client, container)
    except PysupError:
        _discard(cidfile, client, container)
        raise


def _discard(cidfile: CidFile, client: Client, container: str) -> None:
    with suppress(PysupError):  # the daemon is gone, perhaps: what is told is why the start failed
        with suppress(NotFound):  # --rm was faster
            client.delete(path(container), query={"force": "1", "v": "1"})
        cidfile.forget()


def _start_attached(client: Client, container: str, given: Given, body: dict[str, Any], start: Start) -> int:
    plan = Plan(
        tty=given.on("tty"),
        stdin=body["AttachStdin"],
        stdout=body["AttachStdout"],
        stderr=body["AttachStderr"],
        detach_keys=given.text("detach-keys"),
        forward=attached.forwarder(client, container) if given.on("sig-proxy") else None,
        resize=attached.resizer(client, path(container)),
    )
    return follow(client, container, plan, removed=given.on("rm"), start=start)
