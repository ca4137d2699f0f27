"""``pysup builder|container|image|network|volume|system prune``: remove what nobody uses, after asking."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.connection import Client, connect
from pysup.supervisor.cli.flags import Flag, Given, Syntax, switch
from pysup.supervisor.cli.output.listing import filter_flag, filters
from pysup.supervisor.errors import PysupError

_FILTER = filter_flag('Provide filter values (e.g. "until=<timestamp>")', short="")
_FORCE = switch("force", "Do not prompt for confirmation", short="f")
_ALL = switch("all", "Remove all unused images, not just dangling ones", short="a")
_DANGLING = "all dangling images"
_UNUSED = "all images without at least one container associated to them"

CONTAINER_PRUNE = Syntax("container prune", "[OPTIONS]", "Remove all stopped containers", (_FILTER, _FORCE))
IMAGE_PRUNE = Syntax("image prune", "[OPTIONS]", "Remove unused images", (_ALL, _FILTER, _FORCE))
VOLUME_PRUNE = Syntax(
    "volume prune",
    "[OPTIONS]",
    "Remove unused local volumes",
    (
        switch("all", "Remove all unused volumes, not just anonymous ones", short="a"),
        filter_flag('Provide filter values (e.g. "label=<label>")', short=""),
        _FORCE,
    ),
)
NETWORK_PRUNE = Syntax("network prune", "[OPTIONS]", "Remove all unused networks", (_FILTER, _FORCE))
BUILDER_PRUNE = Syntax(
    "builder prune",
    "[OPTIONS]",
    "Remove build cache",
    (
        switch("all", "Remove all unused build cache, not just dangling ones", short="a"),
        filter_flag('Provide filter values (e.g. "until=24h")', short=""),
        _FORCE,
        Flag("keep-storage", kinds.BYTES, "Amount of disk space to keep for cache"),
    ),
)
SYSTEM_PRUNE = Syntax(
    "system prune",
    "[OPTIONS]",
    "Remove unused data",
    (
        _ALL,
        _FILTER,
        _FORCE,
        switch("volumes", "Prune anonymous volumes"),
    ),
)


def container_prune(argv: Sequence[str]) -> int:
    """``pysup container prune``."""
    given = CONTAINER_PRUNE.parse(argv)
    if not _agreed(given, "This will remove all stopped containers."):
        return 0
    return _tell(prune_containers(connect(), filters(given)))


def image_prune(argv: Sequence[str]) -> int:
    """``pysup image prune``."""
    given = IMAGE_PRUNE.parse(argv)
    if not _agreed(given, f"This will remove {_UNUSED if given.on('all') else _DANGLING}."):
        return 0
    return _tell(_prune_images(connect(), given))


def volume_prune(argv: Sequence[str]) -> int:
    """``pysup volume prune``."""
    given = VOLUME_PRUNE.parse(argv)
    which = "all local volumes" if given.on("all") else "anonymous local volumes"
    if not _agreed(given, f"This will remove {which} not used by at least one container."):
        return 0
    chosen = filters(given) | ({"all": ["true"]} if given.on("all") else {})
    return _tell(_prune_volumes(connect(), chosen))


def network_prune(argv: Sequence[str]) -> int:
    """``pysup network prune``."""
    given = NETWORK_PRUNE.parse(argv)
    if not _agreed(given, "This will remove all custom networks not used by at least one container."):
        return 0
    for line in _networks(_prune_networks(connect(), filters(given))):
        print(line)
    return 0


def builder_prune(argv: Sequence[str]) -> int:
    """``pysup builder prune``."""
    given = BUILDER_PRUNE.parse(argv)
    which = "all build cache" if given.on("all") else "all dangling build cache"
    if not _agreed(given, f"This will remove {which}."):
        return 0
    query = {"all": "1"} if given.on("all") else {}
    query |= {"keep-storage": str(given.number("keep-storage"))} if given.number("keep-storage") else {}
    return _tell(_prune_builds(connect(), filters(given), query))


def system_prune(argv: Sequence[str]) -> int:
    """``pysup system prune``."""
    given = SYSTEM_PRUNE.parse(argv)
    kinds_of_images = _UNUSED if given.on("all") else _DANGLING
    volumes = "  - all anonymous volumes not used by at least one container\n" if given.on("volumes") else ""
    unused = "  - all stopped containers\n  - all networks not used by at least one container\n"
    cache = "  - unused build cache\n"
    if not _agreed(given, f"This will remove:\n{unused}{volumes}  - {kinds_of_images}\n{cache}"):
        return 0
    if volumes and "until" in filters(given):
        raise PysupError('cannot prune: the "until" filter is not supported with "--volumes"')
    client = connect()
    reports = [prune_containers(client, filters(given))]
    reports += [_prune_networks(client, filters(given))]
    reports += [_prune_volumes(client, filters(given))] if volumes else []
    reports += [_prune_images(client, given)]
    if "label" in filters(given) or "label!" in filters(
        given
    ):  # steps have none: they are left, as by docker
        return _tell(*reports)
    return _tell(*reports, _prune_builds(client, filters(given), {"all": "1"} if given.on("all") else {}))


def _agreed(given: Given, warning: str) -> bool:
    """Whether to go on. Who does not want to has what he wants: the exit code is 0, as docker's."""
    filters(given)  # what is wrong with them is told before anything is asked
    return given.on("force") or _confirmed(warning)


def _tell(*reports: Any) -> int:
    for line in report_lines(*reports):
        print(line)
    return 0


def _confirmed(warning: str) -> bool:
    print(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def prune_containers(client: Client, chosen: dict[str, list[str]]) -> Any:
    """Ask the daemon to remove the containers that rest."""
    return client.post("/containers/prune", query={"filters": json.dumps(chosen)} if chosen else None)


def _prune_images(client: Client, given: Given) -> Any:
    chosen = filters(given) | {"dangling": ["false" if given.on("all") else "true"]}
    return client.post("/images/prune", query={"filters": json.dumps(chosen)})


def _prune_volumes(client: Client, chosen: dict[str, list[str]]) -> Any:
    return client.post("/volumes/prune", query={"filters": json.dumps(chosen)} if chosen else None)


def _prune_networks(client: Client, chosen: dict[str, list[str]]) -> Any:
    return client.post("/networks/prune", query={"filters": json.dumps(chosen)} if chosen else None)


def _prune_builds(client: Client, chosen: dict[str, list[str]], query: dict[str, str]) -> Any:
    return client.post("/build/prune", query=query | ({"filters": json.dumps(chosen)} if chosen else {}))


def _networks(report: Any) -> list[str]:
    deleted = report.get("NetworksDeleted")
    return ["Deleted Networks:", *deleted, ""] if deleted else []


def report_lines(*reports: Any) -> list[str]:
    """What was deleted, and how much room that made."""
    from pysup.supervisor.spec.units import format_long_decimal_size

    lines: list[str] = []
    for report in reports:
        if deleted := report.get("ContainersDeleted"):
            lines += ["Deleted Containers:", *deleted, ""]
        lines += _networks(report)
        if deleted := report.get("VolumesDeleted"):
            lines += ["Deleted Volumes:", *deleted, ""]
        if steps := report.get("ImagesDeleted"):
            done = [f"{what.lower()}: {name}" for step in steps for what, name in step.items()]
            lines += ["Deleted Images:", *done, ""]
        if deleted := report.get("CachesDeleted"):
            lines += ["Deleted build cache objects:", *(one.removeprefix("sha256:") for one in deleted), ""]
    freed = sum(report.get("SpaceReclaimed") or 0 for report in reports)
    return [*lines, f"Total reclaimed space: {format_long_decimal_size(freed)}"]
