"""``pysup stats``: what containers use, live or once (arithmetic of docker/cli stats_helpers.go)."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from pysup.supervisor.cli.connection import Client, connect, path
from pysup.supervisor.cli.flags import Given, Syntax, switch
from pysup.supervisor.cli.output.listing import FORMAT, Column, Item, Listing, Raw
from pysup.supervisor.cli.output.table import short_id
from pysup.supervisor.errors import NotFound

_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\033[H", "\033[K", "\033[J"
_INTERVAL = 1.0
"""Seconds between two screens."""
_NOTHING = "--"

STATS = Syntax(
    "stats",
    "[OPTIONS] [CONTAINER...]",
    "Display a live stream of container(s) resource usage statistics",
    (
        switch("all", "Show all containers (default shows just running)", short="a"),
        FORMAT,
        switch("no-stream", "Disable streaming stats and only pull the first result"),
        switch("no-trunc", "Do not truncate output"),
    ),
    most=None,
)


def stats(argv: Sequence[str]) -> int:
    """``pysup stats``."""
    given = STATS.parse(argv)
    client = connect()
    rows = _samples(client, given, {}, names_must_be_there=True)
    if given.on("no-stream"):
        sys.stdout.write(_text(given, rows))
        return 0
    return _live(client, given, rows)


def _live(client: Client, given: Given, rows: list[Any]) -> int:
    """A screen a second; each row's CPU share is over the time since the screen before.

    It ends when all that were named are gone.
    """
    while rows or not given.words:
        _screen(_text(given, rows))
        time.sleep(_INTERVAL)
        rows = _samples(client, given, {str(row["id"]): row for row in rows})
    return 0


def _samples(
    client: Client, given: Given, before: dict[str, Any], *, names_must_be_there: bool = False
) -> list[Any]:
    """One of each. Raises NotFound for one that was named, if it must be there."""
    rows = []
    for name in _names(client, given):
        try:
            rows.append(_sample(client, name, before))
        except NotFound:  # else it went between the list and the look
            if given.words and names_must_be_there:
                raise
    return rows


def _names(client: Client, given: Given) -> list[str]:
    if given.words:
        return given.words
    return [
        row["Id"] for row in client.get("/containers/json", query={"all": "1"} if given.on("all") else None)
    ]


def _sample(client: Client, name: str, before: dict[str, Any]) -> Any:
    """One sample. Without an earlier one of ours, the daemon takes two of its own."""
    query = {"stream": "0", "one-shot": "1"} if before else {"stream": "0"}
    row = {"asked": name, **client.get(path(name, "stats"), query=query)}
    earlier = before.get(str(row.get("id")))
    if earlier:
        row["precpu_stats"] = earlier["cpu_stats"]
    return row


def _text(given: Given, rows: Sequence[Any]) -> str:
    return USAGE.text(rows, given.text("format"), short=not given.on("no-trunc"))


def _screen(text: str) -> None:
    if not os.isatty(sys.stdout.fileno()):
        sys.stdout.write(text)
    else:
        lines = "".join(line + _CLEAR_LINE + "\n" for line in text.splitlines())
        sys.stdout.write(_HOME + lines + _CLEAR_BELOW)
    sys.stdout.flush()


def cpu_percent(raw: Raw) -> float:
    """Share of one CPU since the sample before, in percent."""
    now, before = raw["cpu_stats"], raw.get("precpu_stats") or {}
    used = now["cpu_usage"]["total_usage"] - (before.get("cpu_usage") or {}).get("total_usage", 0)
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    if used <= 0 or passed <= 0:
        return 0.0
    return float(used / passed * now.get("online_cpus", 1) * 100)


def memory_used(raw: Raw) -> int:
    """Bytes without the page cache that can go at once (v1: total_inactive_file, v2: inactive_file)."""
    memory = raw.get("memory_stats") or {}
    usage, details = int(memory.get("usage") or 0), memory.get("stats") or {}
    cache = int(details.get("total_inactive_file", details.get("inactive_file", 0)))
    return usage - cache if cache < usage else usage


def _memory_limit(raw: Raw) -> int:
    return int((raw.get("memory_stats") or {}).get("limit") or 0)


def _memory_text(raw: Raw) -> str:
    from pysup.supervisor.spec.units import format_size

    return f"{format_size(memory_used(raw))} / {format_size(_memory_limit(raw))}"


def _percent(value: float) -> str:
    return f"{value:.2f}%"


def _memory_percent(raw: Raw) -> str:
    limit = _memory_limit(raw)
    return _percent(memory_used(raw) / limit * 100 if limit else 0.0)


def _in_out(first: int, second: int) -> str:
    from pysup.supervisor.spec.units import format_decimal_size

    return f"{format_decimal_size(first)} / {format_decimal_size(second)}"


def _network(raw: Raw) -> str:
    cards = list((raw.get("networks") or {}).values())
    return _in_out(sum(card["rx_bytes"] for card in cards), sum(card["tx_bytes"] for card in cards))


def _block(raw: Raw) -> str:
    entries: Iterable[Any] = (raw.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    totals = {"r": 0, "w": 0}
    for entry in entries:
        operation = str(entry["op"])[:1].lower()
        if operation in totals:
            totals[operation] += entry["value"]
    return _in_out(totals["r"], totals["w"])


def _name(raw: Raw) -> str:
    return str(raw.get("name") or _NOTHING).removeprefix("/")


def _asked(one: Item) -> str:
    """As it was typed; of those that nobody has named it is the id."""
    asked, identity = str(one.raw["asked"]), str(one.raw["id"])
    return short_id(identity, short=one.short) if asked == identity else asked


def _processes(raw: Raw) -> str:
    return str((raw.get("pids_stats") or {}).get("current") or 0)


USAGE = Listing(
    {
        "ID": Column("CONTAINER ID", lambda one: short_id(str(one.raw["id"]), short=one.short)),
        "Container": Column("CONTAINER", _asked),
        "Name": Column("NAME", lambda one: _name(one.raw)),
        "CPUPerc": Column("CPU %", lambda one: _percent(cpu_percent(one.raw))),
        "MemUsage": Column("MEM USAGE / LIMIT", lambda one: _memory_text(one.raw)),
        "MemPerc": Column("MEM %", lambda one: _memory_percent(one.raw)),
        "NetIO": Column("NET I/O", lambda one: _network(one.raw)),
        "BlockIO": Column("BLOCK I/O", lambda one: _block(one.raw)),
        "PIDs": Column("PIDS", lambda one: _processes(one.raw)),
    },
    ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"),
)
