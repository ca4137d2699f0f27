"""``pysup volume create``, ``ls`` and ``rm``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pysup.supervisor.cli.connection import Client, connect, segment
from pysup.supervisor.cli.each import each
from pysup.supervisor.cli.flags import BAD_WORDS, Syntax, UsageError, lacking, many, switch, text
from pysup.supervisor.cli.kinds import BOOL, BYTES, LABEL, LIST, MAP, TEXT
from pysup.supervisor.cli.options import kvfile
from pysup.supervisor.cli.output.listing import FORMAT, LABELS, Column, Listing, filter_flag, filters, write

_CLUSTER = "pysup is for one host"
_NOT_COUNTED = "N/A"

CREATE = Syntax(
    "volume create",
    "[OPTIONS] [VOLUME]",
    "Create a volume",
    (
        text("driver", "Specify volume driver name", short="d", default="local"),
        many("label", "Set metadata for a volume", kind=LABEL),
        many("opt", "Set driver specific options", short="o", kind=MAP),
        lacking("availability", TEXT, "Cluster Volume availability", _CLUSTER),
        lacking("group", TEXT, "Cluster Volume group (cluster volumes)", _CLUSTER),
        lacking("limit-bytes", BYTES, "Minimum size of the Cluster Volume in bytes", _CLUSTER),
        lacking("required-bytes", BYTES, "Maximum size of the Cluster Volume in bytes", _CLUSTER),
        lacking("scope", TEXT, "Cluster Volume access scope", _CLUSTER),
        lacking("secret", MAP, "Cluster Volume secrets", _CLUSTER),
        lacking("sharing", TEXT, "Cluster Volume access sharing", _CLUSTER),
        lacking("topology-preferred", LIST, "A topology that would be preferred", _CLUSTER),
        lacking("topology-required", LIST, "A topology that must be accessible from", _CLUSTER),
        lacking("type", TEXT, "Cluster Volume access type", _CLUSTER),
    ),
    0,
    1,
)
LS = Syntax(
    "volume ls",
    "[OPTIONS]",
    "List volumes",
    (
        filter_flag('Provide filter values (e.g. "dangling=true")'),
        FORMAT,
        switch("quiet", "Only display volume names", short="q"),
        lacking("cluster", BOOL, "Display only cluster volumes", _CLUSTER),
    ),
)
RM = Syntax(
    "volume rm",
    "[OPTIONS] VOLUME [VOLUME...]",
    "Remove one or more volumes",
    (switch("force", "Force the removal of one or more volumes", short="f"),),
    1,
    None,
)


def create(argv: Sequence[str]) -> int:
    """``pysup volume create``: prints the name."""
    given = CREATE.parse(argv)
    body = {
        "Name": given.words[0] if given.words else "",
        "Driver": given.text("driver"),
        "DriverOpts": _options(given.many("opt")),
        "Labels": kvfile.mapping((), given.many("label")),
    }
    print(connect().post("/volumes/create", body)["Name"])
    return 0


def _options(words: Sequence[str]) -> Mapping[str, str]:
    """``type=tmpfs``; the value may have more equals signs in it."""
    for word in words:
        if "=" not in word:
            raise UsageError(f"cannot create volume: invalid option {word!r} (it is NAME=VALUE)", BAD_WORDS)
    return dict(word.split("=", 1) for word in words)


def ls(argv: Sequence[str]) -> int:
    """``pysup volume ls``."""
    given = LS.parse(argv)
    chosen = filters(given)
    query = {"filters": json.dumps(chosen)} if chosen else None
    write(VOLUMES, connect().get("/volumes", query=query)["Volumes"] or [], given)
    return 0


def rm(argv: Sequence[str]) -> int:
    """``pysup volume rm``: prints each name."""
    given = RM.parse(argv)
    query = {"force": "1"} if given.on("force") else None

    def action(client: Client, name: str) -> str:
        client.delete(f"/volumes/{segment(name)}", query=query)
        return name

    return each(given.words, action)


VOLUMES = Listing(
    {
        "Driver": Column("DRIVER", lambda one: one.raw["Driver"]),
        "Name": Column("VOLUME NAME", lambda one: one.raw["Name"]),
        "Scope": Column("SCOPE", lambda one: one.raw["Scope"]),
        "Mountpoint": Column("MOUNTPOINT", lambda one: one.raw["Mountpoint"]),
        **LABELS,
        "Links": Column("LINKS", lambda _one: _NOT_COUNTED),
        "Size": Column("SIZE", lambda _one: _NOT_COUNTED),
        "Availability": Column("AVAILABILITY", lambda _one: _NOT_COUNTED),
        "Group": Column("GROUP", lambda _one: _NOT_COUNTED),
        "Status": Column("STATUS", lambda _one: _NOT_COUNTED),
    },
    ("Driver", "Name"),
    quiet="Name",
    raw="name: {{.Name}}\ndriver: {{.Driver}}\n",
)
