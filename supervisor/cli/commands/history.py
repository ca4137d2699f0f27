"""``pysup history``: one line for every run of a container, the latest last.

Docker's command of that name is about images; so is this one where no container has the name (image_history.py).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from pysup.supervisor.cli.connection import connect, segment
from pysup.supervisor.cli.flags import Given, Syntax, number, switch
from pysup.supervisor.cli.output import timetext
from pysup.supervisor.cli.output.listing import FORMAT, Column, Listing, write
from pysup.supervisor.errors import NotFound

HISTORY = Syntax(
    "history",
    "[OPTIONS] CONTAINER|IMAGE",
    "Show every run of a container, or the steps of an image",
    (
        FORMAT,
        switch("human", "Print sizes and dates in human readable format", short="H", default=True),
        number("last", "Show the last n runs only", short="n", default=-1),
        switch("no-trunc", "Show exact times"),
        switch("quiet", "Only show exit codes", short="q"),
    ),
    1,
    1,
)


def history(argv: Sequence[str]) -> int:
    """``pysup history``."""
    given = HISTORY.parse(argv)
    name, last = given.words[0], given.number("last")
    try:
        rows = connect().get(f"/pysup/containers/{segment(name)}/history")
    except NotFound as error:
        return _of_image(name, given, error)
    write(
        RUNS, rows[-last:] if last > 0 else rows, given, short=given.on("human") and not given.on("no-trunc")
    )
    return 0


def _of_image(name: str, given: Given, no_container: NotFound) -> int:
    from pysup.supervisor.cli.commands import image_history

    try:
        steps = image_history.steps(name)
    except NotFound:
        raise NotFound(f"{no_container}, and no such image") from None
    image_history.show(steps, given, exact=not given.on("human"))
    return 0


def _moment(raw: Any, name: str, *, short: bool) -> str:
    text = raw.get(name) or ""
    seconds = timetext.parse_time(text)
    if not seconds:
        return ""
    return timetext.ago(seconds, time.time()) if short else text


def _duration(raw: Any) -> str:
    from pysup.supervisor.spec.units import format_duration

    started, ended = timetext.parse_time(raw["StartedAt"]), timetext.parse_time(raw.get("EndedAt") or "")
    return format_duration(round((ended or time.time()) - started, 3)) if started else ""


def how_it_ended(raw: Any) -> str:
    """``exit 1``, ``signal 9 (OOM)``, ``running``, with the failed step and who ended it."""
    if not raw.get("EndedAt"):
        return "running"
    if raw.get("Error"):
        return str(raw["Error"])
    signal = raw.get("Signal") or 0
    words = f"signal {signal}" if signal else f"exit {raw.get('ExitCode')}"
    ended_by = raw.get("EndedBy") or "itself"
    notes = ["OOM"] if raw.get("OOMKilled") else []
    if ended_by not in ("itself", "oom"):
        notes.append(ended_by)
    return f"{words} ({', '.join(notes)})" if notes else words


def _exit_code(raw: Any) -> str:
    code = raw.get("ExitCode")
    return "" if code is None else str(code)


RUNS = Listing(
    {
        "Number": Column("RUN", lambda one: str(one.raw["Number"])),
        "StartedAt": Column("STARTED", lambda one: _moment(one.raw, "StartedAt", short=one.short)),
        "Duration": Column("DURATION", lambda one: _duration(one.raw)),
        "Ended": Column("ENDED", lambda one: how_it_ended(one.raw)),
        "Cause": Column("CAUSE", lambda one: one.raw.get("Cause") or ""),
        "AskedBy": Column("ASKED BY", lambda one: one.raw.get("AskedBy") or ""),
        "EndedAt": Column("ENDED AT", lambda one: _moment(one.raw, "EndedAt", short=one.short)),
        "ExitCode": Column("EXIT CODE", lambda one: _exit_code(one.raw)),
        "Signal": Column("SIGNAL", lambda one: str(one.raw.get("Signal") or "")),
        "OOMKilled": Column("OOM", lambda one: str(bool(one.raw.get("OOMKilled"))).lower()),
        "Pid": Column("PID", lambda one: str(one.raw.get("Pid") or "")),
    },
    ("Number", "StartedAt", "Duration", "Ended", "Cause", "AskedBy"),
    quiet="ExitCode",
)
