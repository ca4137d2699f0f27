"""Images on their way between the daemon and a registry: who asks, and what is told meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import TextIO

from pysup.supervisor.cli.again import repeated
from pysup.supervisor.cli.connection import Client
from pysup.supervisor.cli.output.progress_lines import Lines
from pysup.supervisor.cli.registries import docker_config
from pysup.supervisor.client.core import Query
from pysup.supervisor.spec.reference import Reference


def pull(client: Client, name: Reference, platform: str, out: TextIO | None) -> None:
    """Pull an image, and tell how far it is. Raises PysupError."""
    query = {"fromImage": f"{name.registry}/{name.path}", "tag": name.digest or name.tag}
    query |= {"platform": platform} if platform else {}
    lines = Lines(out) if out is not None else None
    headers = docker_config.header(name.registry)
    show(client, "/images/create", query, headers, lines)


def show(client: Client, target: str, query: Query, headers: Mapping[str, str], lines: Lines | None) -> None:
    """Tell what comes; without ``lines`` only what goes wrong. Raises PysupError."""
    begin = partial(client.stream_json, "POST", target, query=query, headers=headers)
    for message in repeated(client, begin):
        if lines is not None or "error" in message:
            (lines or Lines(sys.stderr)).show(message)
