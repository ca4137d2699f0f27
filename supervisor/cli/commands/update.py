"""``pysup update``: limits, restart policy and ports of containers, changed live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pysup.supervisor.cli.connection import Client
from pysup.supervisor.cli.each import each
from pysup.supervisor.cli.flags import Given, Syntax, UsageError, many
from pysup.supervisor.cli.once import Command, has_other_ports, may_be_repeated, once
from pysup.supervisor.cli.options import publish, resources
from pysup.supervisor.cli.output import shown

UPDATE = Syntax(
    "update",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Update configuration of one or more containers",
    (
        *resources.LIMITS,
        *resources.RESTART,
        many("publish-add", "Publish a further port, at once (as -p of run)"),
        many("publish-rm", "Publish a port no more, at once: [[IP:]PORT:]CONTAINER_PORT[/PROTOCOL]"),
    ),
    1,
    None,
)


def _ports(given: Given) -> dict[str, Any]:
    try:
        add, remove = (publish.bindings(given.many(name)) for name in ("publish-add", "publish-rm"))
    except ValueError as error:
        raise UsageError(f"cannot parse the arguments: {error}") from None
    return {key: ports for key, ports in (("PublishAdd", add), ("PublishRemove", remove)) if ports}


def update(argv: Sequence[str]) -> int:
    """``pysup update``."""
    given = UPDATE.parse(argv)
    body = resources.limits(given) | _ports(given)
    if not body:
        UPDATE.refuse("you must provide one or more flags when using this command", 1)

    command = Command(
        "update", body=body, is_done=has_other_ports if "PublishRemove" in body else may_be_repeated
    )

    def action(client: Client, name: str) -> str:
        answer = once(client, name, command) or {}
        for warning in answer.get("Warnings") or []:
            shown.complain(warning, "WARNING: ")
        return name

    return each(given.words, action)
