"""``pysup update``: limits and restart policy of containers, changed live."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pysup.supervisor.cli import resources
from pysup.supervisor.cli.connection import Client, path
from pysup.supervisor.cli.flags import Syntax
from pysup.supervisor.cli.lifecycle import each

UPDATE = Syntax(
    "update",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Update configuration of one or more containers",
    (*resources.LIMITS, *resources.RESTART),
    1,
    None,
)


def update(argv: Sequence[str]) -> int:
    """``pysup update``."""
    given = UPDATE.parse(argv)
    body = resources.limits(given)
    if not body:
        UPDATE.refuse("you must provide one or more flags when using this command", 1)

    def action(client: Client, name: str) -> str:
        answer = client.post(path(name, "update"), body)
        for warning in answer.get("Warnings") or []:
            print(f"WARNING: {warning}", file=sys.stderr)
        return name

    return each(given.words, action)
