"""What is wrong with a Dockerfile."""

from __future__ import annotations

from pysup.supervisor.errors import BadRequest


class BadDockerfile(BadRequest):
    """It cannot be read, or asks for what makes no sense; the text names the line."""


def bad(line: int, cause: str) -> BadDockerfile:
    """With docker's words for it."""
    return BadDockerfile(f"cannot build: dockerfile parse error on line {line}: {cause}")
