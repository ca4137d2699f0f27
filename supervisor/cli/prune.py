"""``pysup container prune`` and ``pysup system prune``: remove what nobody uses, after asking."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.connection import Client, connect
from pysup.supervisor.cli.flags import Flag, Given, Syntax, switch
from pysup.supervisor.cli.listing import filter_flag, filters
from pysup.supervisor.errors import PysupError

_FILTER = filter_flag('Provide filter values (e.g. "until=<timestamp>")', short="")
_FORCE = switch("force", "Do not prompt for confirmation", short="f")
_LATER = "image pruning comes with a later version"

CONTAINER_PRUNE = Syntax("container prune", "[OPTIONS]", "Remove all stopped containers", (_FILTER, _FORCE))
SYSTEM_PRUNE = Syntax(
    "system prune",
    "[OPTIONS]",
    "Remove unused data",
    (
        Flag("all", kinds.BOOL, "Remove all unused images not just dangling ones", "a", lacking=_LATER),
        _FILTER,
        _FORCE,
        Flag("volumes", kinds.BOOL, "Prune anonymous volumes", lacking="volumes come with a later version"),
    ),
)


def container_prune(argv: Sequence[str]) -> int:
    """``pysup container prune``."""
    return _prune(CONTAINER_PRUNE.parse(argv), "This will remove all stopped containers.")


def system_prune(argv: Sequence[str]) -> int:
    """``pysup system prune``."""
    return _prune(SYSTEM_PRUNE.parse(argv), "This will remove:\n  - all stopped containers\n")


def _prune(given: Given, warning: str) -> int:
    chosen = filters(given)
    if not given.on("force") and not _confirmed(warning):
        raise PysupError("cannot prune: it was not confirmed")
    report = prune_containers(connect(), chosen)
    for line in report_lines(report):
        print(line)
    return 0


def _confirmed(warning: str) -> bool:
    print(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def prune_containers(client: Client, chosen: dict[str, list[str]]) -> Any:
    """Ask the daemon to remove the containers that rest."""
    return client.post("/containers/prune", query={"filters": json.dumps(chosen)} if chosen else None)


def report_lines(report: Any) -> list[str]:
    """What was deleted, and how much room that made."""
    from pysup.supervisor.spec.units import format_long_decimal_size

    deleted = report.get("ContainersDeleted") or []
    head = ["Deleted Containers:", *deleted, ""] if deleted else []
    return [*head, f"Total reclaimed space: {format_long_decimal_size(report.get('SpaceReclaimed') or 0)}"]
