"""``pysup pull``: images from registries."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from pysup.supervisor.cli import docker_config
from pysup.supervisor.cli.connection import Client, connect
from pysup.supervisor.cli.flags import Syntax, UsageError, switch, text
from pysup.supervisor.cli.progress_lines import Lines
from pysup.supervisor.spec.reference import Reference, parse_reference

PULL = Syntax(
    "pull",
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    (
        text("platform", "The platform of the image, os/arch[/variant], if not this machine's"),
        switch("quiet", "Suppress verbose output", short="q"),
    ),
    1,
    1,
)


def pull(argv: Sequence[str]) -> int:
    """``pysup pull``: prints progress, and the whole name."""
    given = PULL.parse(argv)
    name = reference(given.words[0], "pull")
    pull_with(connect(), name, given.text("platform"), None if given.on("quiet") else sys.stdout)
    print(whole(name))
    return 0


def pull_with(client: Client, name: Reference, platform: str, out: TextIO | None) -> None:
    """Pull an image, and tell how far it is. Raises PysupError."""
    query = {"fromImage": f"{name.registry}/{name.path}", "tag": name.digest or name.tag}
    query |= {"platform": platform} if platform else {}
    lines = Lines(out) if out is not None else None
    headers = docker_config.header(name.registry)
    for message in client.stream_json("POST", "/images/create", query=query, headers=headers):
        if lines is not None or "error" in message:
            (lines or Lines(sys.stderr)).show(message)


def reference(given: str, verb: str) -> Reference:
    """What was typed; ``latest`` where there is neither tag nor digest. Raises UsageError."""
    try:
        return parse_reference(given).tagged()
    except ValueError as error:
        raise UsageError(f"cannot {verb}: {error}", 1) from None


def whole(name: Reference) -> str:
    """With registry and path, as docker prints it at the end."""
    tag = f":{name.tag}" if name.tag and not name.digest else ""
    return f"{name.registry}/{name.path}{tag}{'@' * bool(name.digest)}{name.digest}"
