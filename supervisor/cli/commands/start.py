"""``pysup start`` (also attached) and ``pysup attach``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pysup.supervisor.cli.connection import Client, connect, path
from pysup.supervisor.cli.each import each
from pysup.supervisor.cli.flags import Given, Syntax, UsageError, lacking, switch, text
from pysup.supervisor.cli.kinds import TEXT
from pysup.supervisor.cli.once import Command, has_run, named
from pysup.supervisor.cli.sessions import attached, detach
from pysup.supervisor.cli.sessions.following import follow
from pysup.supervisor.cli.sessions.session import Plan
from pysup.supervisor.cli.tty import Size
from pysup.supervisor.errors import Conflict

_KEYS = text("detach-keys", "Override the key sequence for detaching a container")
_CHECKPOINTS = "checkpoints come with a later version"

START = Syntax(
    "start",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    (
        switch("attach", "Attach STDOUT/STDERR and forward signals", short="a"),
        lacking("checkpoint", TEXT, "Restore from this checkpoint", _CHECKPOINTS),
        lacking("checkpoint-dir", TEXT, "Use a custom checkpoint storage directory", _CHECKPOINTS),
        _KEYS,
        switch("interactive", "Attach container's STDIN", short="i"),
    ),
    1,
    None,
)
ATTACH = Syntax(
    "attach",
    "[OPTIONS] CONTAINER",
    "Attach local standard input, output, and error streams to a running container",
    (
        _KEYS,
        switch("no-stdin", "Do not attach STDIN"),
        switch("sig-proxy", "Proxy all received signals to the process", default=True),
    ),
    1,
    1,
)


def start(argv: Sequence[str]) -> int:
    """``pysup start``."""
    given = START.parse(argv)
    if not (given.on("attach") or given.on("interactive")):
        return each(given.words, _start)
    if len(given.words) > 1:
        raise UsageError("cannot start: you cannot start and attach multiple containers at once", 1)
    client = connect()
    found = client.get(path(given.words[0], "json"))
    plan = _plan(client, found, given, stdin=given.on("interactive"))
    return follow(
        client, found["Id"], plan, removed=found["HostConfig"].get("AutoRemove", False), start=_start
    )


_start = named(Command("start", is_done=has_run))


def attach(argv: Sequence[str]) -> int:
    """``pysup attach``."""
    given = ATTACH.parse(argv)
    client = connect()
    found = client.get(path(given.words[0], "json"))
    _refuse_unless_running(given.words[0], found["State"])
    plan = _plan(client, found, given, stdin=not given.on("no-stdin"))
    return follow(
        client,
        found["Id"],
        plan,
        removed=False,
        start=lambda *_: _have_it_drawn_again(plan),
        on_detach=attached.told_to_leave,
    )


def _have_it_drawn_again(plan: Plan) -> None:
    """A program draws its screen, or its prompt, when the size changes: so, as docker does, it is another one first."""
    now = plan.size()
    if now and plan.resize:
        plan.resize(Size(now.rows + 1, now.columns + 1))


def _refuse_unless_running(name: str, state: Any) -> None:
    if not state["Running"]:
        raise Conflict(f"cannot attach to {name}: it is not running; start it first")
    if state.get("Paused"):
        raise Conflict(f"cannot attach to {name}: it is paused; unpause it first")
    if state.get("Restarting"):
        raise Conflict(f"cannot attach to {name}: it is restarting; wait until it is running")


def _plan(client: Client, found: Any, given: Given, *, stdin: bool) -> Plan:
    """How to attach to a container that exists: its own configuration says whether it has a terminal."""
    config, container = found["Config"], found["Id"]
    stdin = stdin and bool(config.get("OpenStdin"))
    attached.check_terminal(tty=bool(config.get("Tty")), stdin=stdin)
    detach.parse(given.text("detach-keys"))
    proxy = given.on("sig-proxy") if "sig-proxy" in given.values else not config.get("Tty")
    return Plan(
        tty=bool(config.get("Tty")),
        stdin=stdin,
        detach_keys=given.text("detach-keys"),
        forward=attached.forwarder(client, container) if proxy else None,
        resize=attached.resizer(client, path(container)),
    )
