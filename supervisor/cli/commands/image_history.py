"""``pysup image history``: the steps that an image was made by, the newest first, and what each added."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from pysup.supervisor.cli.commands.images import ONE_PLATFORM
from pysup.supervisor.cli.connection import connect, segment
from pysup.supervisor.cli.flags import Given, Syntax, lacking, switch
from pysup.supervisor.cli.kinds import TEXT
from pysup.supervisor.cli.output import timetext
from pysup.supervisor.cli.output.listing import FORMAT, Column, Item, Listing, write
from pysup.supervisor.cli.output.table import short_id, shorten

_WIDTH = 45
"""Characters of a step that are shown, and of a comment."""
_EXACT = "Exact"
"""The key that marks rows without words for times and sizes."""

IMAGE_HISTORY = Syntax(
    "image history",
    "[OPTIONS] IMAGE",
    "Show the history of an image",
    (
        FORMAT,
        switch("human", "Print sizes and dates in human readable format", short="H", default=True),
        switch("no-trunc", "Don't truncate output"),
        lacking("platform", TEXT, "Show history for the given platform", ONE_PLATFORM),
        switch("quiet", "Only show image IDs", short="q"),
    ),
    1,
    1,
)


def image_history(argv: Sequence[str]) -> int:
    """``pysup image history``."""
    given = IMAGE_HISTORY.parse(argv)
    show(steps(given.words[0]), given, exact=not given.on("human"))
    return 0


def steps(image: str) -> list[Any]:
    """What the daemon says of an image. Raises NotFound."""
    found: list[Any] = connect().get(f"/images/{segment(image)}/history")
    return found


def show(rows: Sequence[Any], given: Given, *, exact: bool = False) -> None:
    """Print the steps."""
    write(STEPS, [{**row, _EXACT: exact} for row in rows], given, short=not given.on("no-trunc"))


def _since(one: Item) -> str:
    seconds = one.raw["Created"]
    if one.raw[_EXACT]:
        return _at(one)
    return timetext.ago(seconds, time.time()) if seconds > 0 else "N/A"


def _at(one: Item) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.raw["Created"]))


def _made_by(one: Item) -> str:
    text = one.raw["CreatedBy"].replace("\t", " ")
    return shorten(text, _WIDTH) if one.short else text


def _size(one: Item) -> str:
    from pysup.supervisor.spec.units import format_decimal_size

    return str(one.raw["Size"]) if one.raw[_EXACT] else format_decimal_size(one.raw["Size"])


STEPS = Listing(
    {
        "ID": Column("IMAGE", lambda one: short_id(one.raw["Id"], short=one.short)),
        "CreatedSince": Column("CREATED", _since),
        "CreatedAt": Column("CREATED AT", _at),
        "CreatedBy": Column("CREATED BY", _made_by),
        "Size": Column("SIZE", _size),
        "Comment": Column("COMMENT", lambda one: one.raw.get("Comment") or ""),
    },
    ("ID", "CreatedSince", "CreatedBy", "Size", "Comment"),
)
