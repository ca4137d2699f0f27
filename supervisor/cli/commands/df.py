"""``pysup system df``: what takes how much disk."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from pysup.supervisor.cli.commands import images, ps
from pysup.supervisor.cli.connection import connect
from pysup.supervisor.cli.flags import Syntax, UsageError, switch
from pysup.supervisor.cli.output import shown, timetext
from pysup.supervisor.cli.output.listing import FORMAT, Column, Listing, write
from pysup.supervisor.cli.output.table import short_id

DF = Syntax(
    "system df",
    "[OPTIONS]",
    "Show disk usage",
    (FORMAT, switch("verbose", "Show detailed information on space usage", short="v")),
)


def df(argv: Sequence[str]) -> int:
    """``pysup system df``."""
    given = DF.parse(argv)
    usage = connect().get("/system/df")
    if given.on("verbose"):
        form = given.text("format")
        shown.write(_detailed(usage) if form in ("", "table") else _templated(usage, form))
    else:
        write(USAGE, list(summary(usage)), given)
    return 0


def summary(usage: Any) -> Iterable[dict[str, Any]]:
    """One row for each kind of thing; only what nothing uses is reclaimable."""
    found, containers, volumes = (usage.get(key) or [] for key in ("Images", "Containers", "Volumes"))
    used = [image for image in found if image.get("Containers", 0) > 0]
    yield _row("Images", found, used, usage.get("LayersSize") or 0, _unused_images(usage))
    running = [one for one in containers if one["State"] in ("running", "paused", "restarting")]
    size = sum(one.get("SizeRw") or 0 for one in containers)
    yield _row("Containers", containers, running, size, size - sum(one.get("SizeRw") or 0 for one in running))
    taken = [one for one in volumes if _volume(one, "RefCount") > 0]
    size = sum(_volume(one, "Size") for one in volumes)
    yield _row("Local Volumes", volumes, taken, size, size - sum(_volume(one, "Size") for one in taken))
    cache = usage.get("BuildCache") or []
    busy = [one for one in cache if one.get("InUse")]
    yield _row("Build Cache", cache, busy, _alone(cache), _alone(cache) - _alone(busy))
    if logs := (usage.get("Pysup") or {}).get("Logs"):
        yield _row("Logs", containers, running, logs["Size"], logs["Reclaimable"])


def _alone(cache: Sequence[Any]) -> int:
    """Bytes of the steps whose layers no image has, too."""
    return sum(one["Size"] for one in cache if not one.get("Shared"))


def _unused_images(usage: Any) -> int:
    """As pysup's daemon counts it; docker's only knows the size of each image."""
    own = usage.get("Pysup") or {}
    unused = [image["Size"] for image in usage.get("Images") or [] if image.get("Containers", 0) <= 0]
    return int(own.get("ImagesReclaimable", sum(unused)))


def _volume(volume: Any, name: str) -> int:
    return max(0, int((volume.get("UsageData") or {}).get(name, 0)))


def _row(kind: str, every: Sequence[Any], active: Sequence[Any], size: int, free: int) -> dict[str, Any]:
    return {"Type": kind, "TotalCount": len(every), "Active": len(active), "Size": size, "Reclaimable": free}


def _size(raw: Any) -> str:
    from pysup.supervisor.spec.units import format_long_decimal_size

    return format_long_decimal_size(raw["Size"])


def _layer(raw: Any) -> str:
    from pysup.supervisor.spec.units import format_decimal_size

    return format_decimal_size(raw.get("SizeRw") or 0)


def _reclaimable(raw: Any) -> str:
    from pysup.supervisor.spec.units import format_long_decimal_size

    shown = format_long_decimal_size(raw["Reclaimable"])
    if raw["Size"] <= 0 or raw["Type"] == "Build Cache":  # docker shows no part of that
        return shown
    return f"{shown} ({raw['Reclaimable'] * 100 // raw['Size']}%)"


def _detailed(usage: Any) -> str:
    rows = [row for image in usage.get("Images") or [] for row in images.tagged(image)]
    return (
        "Images space usage:\n\n"
        + _IMAGES.text(rows)
        + "\nContainers space usage:\n\n"
        + _CONTAINERS.text(usage.get("Containers") or [])
        + "\nLocal Volumes space usage:\n\n"
        + _VOLUMES.text(usage.get("Volumes") or [])
        + f"\nBuild cache usage: {_size({'Size': _alone(usage.get('BuildCache') or [])})}\n\n"
        + _BUILDS.text(sorted(usage.get("BuildCache") or [], key=lambda one: one.get("LastUsedAt") or ""))
    )


def _templated(usage: Any, form: str) -> str:
    """One document with a list of each kind; what a template makes of it."""
    from pysup.supervisor.cli.output.rendered import rendered_alone

    if form == "raw" or form.startswith("table"):
        raise UsageError(f"cannot format: {form!r} is not supported with --verbose; json and templates are")
    rows = [row for image in usage.get("Images") or [] for row in images.tagged(image)]
    document = {
        "Images": _IMAGES.rows(rows, short=False),
        "Containers": _CONTAINERS.rows(usage.get("Containers") or [], short=False),
        "Volumes": _VOLUMES.rows(usage.get("Volumes") or [], short=False),
        "BuildCache": _BUILDS.rows(usage.get("BuildCache") or [], short=False),
    }
    return rendered_alone(document, form)


_IMAGES = Listing(
    {
        **images.TAGS.columns,
        "Containers": Column("CONTAINERS", lambda one: str(max(0, one.raw.get("Containers", 0)))),
    },
    (*images.TAGS.default, "SharedSize", "UniqueSize", "Containers"),
)
_CONTAINERS = Listing(
    {**ps.CONTAINERS.columns, "Size": Column("SIZE", lambda one: _layer(one.raw))},
    ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"),
)
_VOLUMES = Listing(
    {
        "Name": Column("VOLUME NAME", lambda one: one.raw["Name"]),
        "Links": Column("LINKS", lambda one: str(_volume(one.raw, "RefCount"))),
        "Size": Column("SIZE", lambda one: _size({"Size": _volume(one.raw, "Size")})),
    },
    ("Name", "Links", "Size"),
)


def _ago(raw: Any, key: str) -> str:
    from datetime import datetime

    when = raw.get(key)
    return timetext.ago(int(datetime.fromisoformat(when).timestamp()), time.time()) if when else ""


_BUILDS = Listing(
    {
        "ID": Column(
            "CACHE ID", lambda one: short_id(one.raw["ID"], short=True) + "*" * bool(one.raw.get("InUse"))
        ),
        "CacheType": Column("CACHE TYPE", lambda one: one.raw["Type"]),
        "Size": Column("SIZE", lambda one: _layer({"SizeRw": one.raw["Size"]})),
        "CreatedSince": Column("CREATED", lambda one: _ago(one.raw, "CreatedAt")),
        "LastUsedSince": Column("LAST USED", lambda one: _ago(one.raw, "LastUsedAt")),
        "UsageCount": Column("USAGE", lambda one: str(one.raw["UsageCount"])),
        "Shared": Column("SHARED", lambda one: "true" if one.raw["Shared"] else "false"),
    },
    ("ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared"),
)


USAGE = Listing(
    {
        "Type": Column("TYPE", lambda one: one.raw["Type"]),
        "TotalCount": Column("TOTAL", lambda one: str(one.raw["TotalCount"])),
        "Active": Column("ACTIVE", lambda one: str(one.raw["Active"])),
        "Size": Column("SIZE", lambda one: _size(one.raw)),
        "Reclaimable": Column("RECLAIMABLE", lambda one: _reclaimable(one.raw)),
    },
    ("Type", "TotalCount", "Active", "Size", "Reclaimable"),
    raw="type: {{.Type}}\ntotal: {{.TotalCount}}\nactive: {{.Active}}\nsize: {{.Size}}\n"
    "reclaimable: {{.Reclaimable}}\n",
)
