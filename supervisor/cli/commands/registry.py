"""``pysup pull`` and ``push``: images from registries, and to them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from pysup.supervisor.cli.connection import connect, segment
from pysup.supervisor.cli.flags import CONTENT_TRUST, Given, Syntax, UsageError, switch, text
from pysup.supervisor.cli.output.progress_lines import Lines
from pysup.supervisor.cli.registries import docker_config, transfers
from pysup.supervisor.images.platforms import parse_platform
from pysup.supervisor.spec.reference import Reference, parse_reference

PULL = Syntax(
    "pull",
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    (
        switch("all-tags", "Download all tagged images in the repository", short="a"),
        text("platform", "The platform of the image, os/arch[/variant], if not this machine's"),
        CONTENT_TRUST,
        switch("quiet", "Suppress verbose output", short="q"),
    ),
    1,
    1,
)


PUSH = Syntax(
    "push",
    "[OPTIONS] NAME[:TAG]",
    "Upload an image to a registry",
    (
        switch("all-tags", "Push all tags of an image to the repository", short="a"),
        text("platform", "Push only if the image is for this platform, os/arch[/variant]"),
        switch("quiet", "Suppress verbose output", short="q"),
        CONTENT_TRUST,
    ),
    1,
    1,
)


def pull(argv: Sequence[str]) -> int:
    """``pysup pull``: prints progress, and the whole name."""
    given = PULL.parse(argv)
    name = chosen(given, "pull")
    transfers.pull(connect(), name, given.text("platform"), None if given.on("quiet") else sys.stdout)
    print(whole(name))
    return 0


def push(argv: Sequence[str]) -> int:
    """``pysup push``: prints progress, or with ``--quiet`` the whole name."""
    given = PUSH.parse(argv)
    name = chosen(given, "push")
    if name.digest:
        raise UsageError(f"cannot push {name}: a digest cannot be pushed, but a tag", 1)
    query = {"tag": name.tag} | ({"platform": _platform(given)} if given.text("platform") else {})
    lines = None if given.on("quiet") else Lines(sys.stdout)
    target = f"/images/{segment(f'{name.registry}/{name.path}')}/push"
    headers = docker_config.header(name.registry)
    transfers.show(connect(), target, query, headers, lines)
    if lines is None:
        print(whole(name))
    return 0


def _platform(given: Given) -> str:
    """As the API has it for a push (1.46): an object, where a pull has a text."""
    found = parse_platform(given.text("platform"))
    return json.dumps({"os": found.os, "architecture": found.architecture, "variant": found.variant})


def chosen(given: Given, verb: str) -> Reference:
    """What was typed: without a tag ``latest``, or all tags. Raises UsageError."""
    try:
        name = parse_reference(given.words[0])
    except ValueError as error:
        raise UsageError(f"cannot {verb}: {error}", 1) from None
    if not given.on("all-tags"):
        return name.tagged()
    if name.tag or name.digest:
        raise UsageError(f"cannot {verb}: tag can't be used with --all-tags/-a", 1)
    return name


def whole(name: Reference) -> str:
    """With registry and path, as docker prints it at the end."""
    tag = f":{name.tag}" if name.tag and not name.digest else ""
    return f"{name.registry}/{name.path}{tag}{'@' * bool(name.digest)}{name.digest}"
