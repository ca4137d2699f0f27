"""stop, restart, kill, pause, unpause, wait, rm, rename: one call for each container named (each.py)."""

from __future__ import annotations

from collections.abc import Sequence

from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.again import wait_again
from pysup.supervisor.cli.connection import Client, connect, path
from pysup.supervisor.cli.each import each, each_at_once
from pysup.supervisor.cli.flags import Flag, Given, Syntax, number, switch, text
from pysup.supervisor.cli.once import (
    Command,
    got_signal,
    has_no_link,
    is_called,
    is_paused,
    is_removed,
    is_unpaused,
    named,
    once,
)
from pysup.supervisor.cli.output import shown
from pysup.supervisor.client.responses import Lost
from pysup.supervisor.errors import NotFound

_EACH = "[OPTIONS] CONTAINER [CONTAINER...]"
_SIGNAL = text("signal", "Signal to send to the container", short="s")
_STOPPING = (
    _SIGNAL,
    number("timeout", "Seconds to wait before killing the container", short="t"),
    Flag("time", kinds.INT, "Same as --timeout", hidden=True),
)

STOP = Syntax("stop", _EACH, "Stop one or more running containers", _STOPPING, 1, None)
RESTART = Syntax("restart", _EACH, "Restart one or more containers", _STOPPING, 1, None)
KILL = Syntax("kill", _EACH, "Kill one or more running containers", (_SIGNAL,), 1, None)
PAUSE = Syntax("pause", _EACH[10:], "Pause all processes within one or more containers", (), 1, None)
UNPAUSE = Syntax("unpause", _EACH[10:], "Unpause all processes within one or more containers", (), 1, None)
WAIT = Syntax(
    "wait", _EACH[10:], "Block until one or more containers stop, then print their exit codes", (), 1, None
)
RENAME = Syntax("rename", "CONTAINER NEW_NAME", "Rename a container", (), 2, 2)
RM = Syntax(
    "rm",
    _EACH,
    "Remove one or more containers",
    (
        switch("force", "Force the removal of a running container (uses SIGKILL)", short="f"),
        switch("link", "Remove the specified link, CONTAINER/ALIAS", short="l"),
        switch("volumes", "Remove anonymous volumes associated with the container", short="v"),
    ),
    1,
    None,
)


def _stopping(given: Given) -> dict[str, str]:
    query = {"signal": given.text("signal")} if given.text("signal") else {}
    for name in ("time", "timeout"):
        if name in given.changed:
            query["t"] = str(given.number(name))
    return query


def stop(argv: Sequence[str]) -> int:
    """``pysup stop``. Where it is asked for again, the sooner of the two times counts."""
    given = STOP.parse(argv)
    return each_at_once(given.words, named(Command("stop", _stopping(given), is_done=is_removed)))


def restart(argv: Sequence[str]) -> int:
    """``pysup restart``."""
    given = RESTART.parse(argv)
    return each(given.words, named(Command("restart", _stopping(given))))


def kill(argv: Sequence[str]) -> int:
    """``pysup kill``."""
    given = KILL.parse(argv)
    signal = given.text("signal") or "KILL"
    return each(given.words, named(Command("kill", {"signal": signal}, is_done=got_signal(signal))))


def pause(argv: Sequence[str]) -> int:
    """``pysup pause``."""
    return each(PAUSE.parse(argv).words, named(Command("pause", is_done=is_paused)))


def unpause(argv: Sequence[str]) -> int:
    """``pysup unpause``."""
    return each(UNPAUSE.parse(argv).words, named(Command("unpause", is_done=is_unpaused)))


def wait(argv: Sequence[str]) -> int:
    """``pysup wait``: prints each exit code."""
    return each(WAIT.parse(argv).words, _wait)


def _wait(client: Client, name: str) -> str:
    try:
        answer = client.post(path(name, "wait"))
    except Lost:
        answer = wait_again(client, name, "not-running")
    return str(answer["StatusCode"])


def rename(argv: Sequence[str]) -> int:
    """``pysup rename``."""
    old, new = RENAME.parse(argv).words
    once(connect(), old, Command("rename", {"name": new}, is_done=is_called(new)))
    return 0


def rm(argv: Sequence[str]) -> int:
    """``pysup rm``."""
    given = RM.parse(argv)
    force = given.on("force")
    if given.on("link"):
        return each(given.words, _remove_link)
    query = {key: "1" for flag, key in (("force", "force"), ("volumes", "v")) if given.on(flag)}
    removal = Command("", query, is_done=is_removed)

    def action(client: Client, name: str) -> str | None:
        try:
            once(client, name, removal)
        except NotFound as error:
            if not force:
                raise
            shown.complain(error)  # and the exit code is 0, as docker's
            return None
        return name

    return each(given.words, action)


def _remove_link(client: Client, link: str) -> str:
    name, _, alias = link.strip("/").partition("/")
    once(client, name, Command("", {"link": "1"}, is_done=has_no_link(alias), link=alias))
    return link
