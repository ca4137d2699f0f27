"""``pysup ps``: the list of containers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from pysup.supervisor.cli.connection import connect
from pysup.supervisor.cli.flags import Given, Syntax, number, switch
from pysup.supervisor.cli.output import timetext
from pysup.supervisor.cli.output.listing import (
    FORMAT,
    LABELS,
    Column,
    Item,
    Listing,
    filter_flag,
    filters,
    write,
)
from pysup.supervisor.cli.output.ports import displayed
from pysup.supervisor.cli.output.table import short_id, shorten

_COMMAND_LENGTH = 20
_COUNTED = 120
"""Seconds; a time that is longer is told in minutes, hours, days."""

PS = Syntax(
    "ps",
    "[OPTIONS]",
    "List containers",
    (
        switch("all", "Show all containers (default shows just running)", short="a"),
        filter_flag(),
        FORMAT,
        number("last", "Show n last created containers (includes all states)", short="n", default=-1),
        switch("latest", "Show the latest created container (includes all states)", short="l"),
        switch("no-trunc", "Don't truncate output"),
        switch("quiet", "Only display container IDs", short="q"),
        switch("size", "Display total file sizes", short="s"),
    ),
)


def ps(argv: Sequence[str]) -> int:
    """``pysup ps``."""
    given = PS.parse(argv)
    rows = connect().get("/containers/json", query=_query(given))
    listing = SIZED if given.on("size") else CONTAINERS
    if given.on("quiet") and given.text("format") not in ("", "table"):
        print("WARNING: Ignoring custom format, because both --format and --quiet are set.", file=sys.stderr)
        given.values["format"] = (
            "raw" if given.text("format") == "raw" else ""
        )  # docker's other lists ignore --quiet
    write(listing, rows, given, short=not given.on("no-trunc"))
    return 0


def _query(given: Given) -> dict[str, str]:
    last = 1 if given.on("latest") else given.number("last")
    query: dict[str, str] = {}
    if given.on("all") or last > 0:
        query["all"] = "1"
    if last > 0:
        query["limit"] = str(last)
    if given.on("size") or any(word in given.text("format") for word in (".Size", "json")):
        query["size"] = "1"
    if given.many("filter"):
        query["filters"] = json.dumps(filters(given))
    return query


def _names(one: Item) -> str:
    """With names of links, which have a slash, only where all is shown (docker's command does the same)."""
    names = [name.removeprefix("/") for name in one.raw["Names"]]
    return ",".join(name for name in names if "/" not in name or not one.short)


def _command(one: Item) -> str:
    command = shorten(one.raw["Command"], _COMMAND_LENGTH) if one.short else one.raw["Command"]
    return json.dumps(command, ensure_ascii=False)


def _image(one: Item) -> str:
    image = str(one.raw["Image"]) or "<no image>"
    return short_id(image) if one.short and image.startswith("sha256:") else image


def status(raw: Any, now: float) -> str:
    """The daemon's words; and when the next start will be of a container that waits for it, or why there is none."""
    own = raw.get("Pysup", {})
    due = timetext.parse_time(own.get("NextStartAt") or "")
    if not due or raw["State"] != "restarting":
        return (
            f"{raw['Status']} (gave up: {own['GaveUpReason']})"
            if own.get("GaveUpReason")
            else str(raw["Status"])
        )
    words, closed, _ago = str(raw["Status"]).partition(")")
    return f"{words if closed else 'Restarting'}{closed} in {_left(max(0, round(due - now)))}"


def _left(seconds: int) -> str:
    """To the second where somebody may be waiting for it."""
    from pysup.supervisor.spec.units import human_duration

    if seconds < _COUNTED:
        return f"{seconds} second{'s' * (seconds != 1)}"
    about = human_duration(seconds)
    return about[:1].lower() + about[1:]


def size_text(raw: Any) -> str:
    """``12kB (virtual 1.2GB)``."""
    from pysup.supervisor.spec.units import format_decimal_size

    whole = raw.get("SizeRootFs") or 0
    layer = format_decimal_size(raw.get("SizeRw") or 0)
    return f"{layer} (virtual {format_decimal_size(whole)})" if whole else layer


def _mounts(one: Item) -> str:
    names = [mount.get("Name") or mount.get("Source", "") for mount in one.raw.get("Mounts") or []]
    return ",".join(shorten(name, 15) if one.short else name for name in names)


def _networks(one: Item) -> str:
    return ",".join((one.raw.get("NetworkSettings") or {}).get("Networks") or {})


_COLUMNS = {
    "ID": Column("CONTAINER ID", lambda one: short_id(one.raw["Id"], short=one.short)),
    "Image": Column("IMAGE", _image),
    "Command": Column("COMMAND", _command),
    "RunningFor": Column("CREATED", lambda one: timetext.ago(one.raw["Created"], time.time())),
    "Status": Column("STATUS", lambda one: status(one.raw, time.time())),
    "Ports": Column("PORTS", lambda one: displayed(one.raw.get("Ports") or [])),
    "Names": Column("NAMES", _names),
    "CreatedAt": Column("CREATED AT", lambda one: timetext.local(one.raw["Created"])),
    "State": Column("STATE", lambda one: one.raw["State"]),
    "Size": Column("SIZE", lambda one: size_text(one.raw)),
    **LABELS,
    "Mounts": Column("MOUNTS", _mounts),
    "LocalVolumes": Column("LOCAL VOLUMES", lambda one: "0"),
    "Networks": Column("NETWORKS", _networks),
    "GaveUpReason": Column("GAVE UP", lambda one: one.raw.get("Pysup", {}).get("GaveUpReason") or ""),
    "NextStartAt": Column("NEXT START", lambda one: one.raw.get("Pysup", {}).get("NextStartAt") or ""),
}
_DEFAULT = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")

_RAW = """\
container_id: {{.ID}}
image: {{.Image}}
command: {{.Command}}
created_at: {{.CreatedAt}}
state: {{- pad .State 1 0}}
status: {{- pad .Status 1 0}}
names: {{.Names}}
labels: {{- pad .Labels 1 0}}
ports: {{- pad .Ports 1 0}}
"""

CONTAINERS = Listing(_COLUMNS, _DEFAULT, raw=_RAW)
SIZED = Listing(_COLUMNS, (*_DEFAULT, "Size"), raw=_RAW + "size: {{.Size}}\n")
