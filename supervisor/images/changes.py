"""--change of import and commit: Dockerfile instructions that set fields of an image's config. Pure.

Source: docker's reference of ``docker import --change``; moby's BuildFromConfig.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pysup.supervisor.build.effects import Config, Described, apply
from pysup.supervisor.build.expansion import expanded
from pysup.supervisor.build.lexing import Line, read
from pysup.supervisor.build.parsing import parse
from pysup.supervisor.errors import BadRequest

INSTRUCTIONS = frozenset(
    {
        "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME",
        "WORKDIR",
    }
)  # fmt: skip


def apply_changes(changes: Iterable[str], config: Mapping[str, Any] | None = None) -> Config:
    """What the instructions make of a config, one after the other. Raises BadRequest."""
    described = Described(dict(config or {}))
    for change in filter(str.strip, changes):
        try:
            dockerfile = read(change)
            for line in dockerfile.lines:
                _check(line)
                instruction = expanded(parse(line, dockerfile.lexer), described.env, dockerfile.lexer)
                described, _ = apply(described, instruction)
        except BadRequest as error:
            cause = str(error).partition(": ")[2]
            raise BadRequest(f"cannot apply change {change[:128]!r}: {cause}") from None
    return described.config


def _check(line: Line) -> None:
    if line.keyword not in INSTRUCTIONS:
        raise BadRequest(f"cannot build: {line.keyword[:64]} is not one of {', '.join(sorted(INSTRUCTIONS))}")
    if not line.rest:
        raise BadRequest("cannot build: it has no argument")
