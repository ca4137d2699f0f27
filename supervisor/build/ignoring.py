""".dockerignore: which files of a directory are no part of the context (moby/patternmatcher, ignorefile)."""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple

from pysup.supervisor.build.patterns import BadPattern, Pattern, ignore
from pysup.supervisor.errors import BadRequest


class _Rule(NamedTuple):
    pattern: Pattern
    text: str
    exception: bool


class Ignored:
    """Asked for each path: the last rule that fits it, or a directory above it, decides."""

    def __init__(self, rules: tuple[_Rule, ...] = ()) -> None:
        self._rules = rules

    def __call__(self, path: str) -> bool:
        """Whether a path, relative to the context, is left out."""
        above = path.split("/")
        places = ["/".join(above[: count + 1]) for count in range(len(above))]
        left_out = False
        for rule in self._rules:
            if rule.exception == left_out and any(map(rule.pattern.fits, reversed(places))):
                left_out = not rule.exception
        return left_out

    def wholly(self, path: str) -> bool:
        """Whether a directory that is left out needs not be looked into: no exception can lead there."""
        return not any(rule.exception and _may_lie_below(rule.text, path) for rule in self._rules)


def _may_lie_below(pattern: str, directory: str) -> bool:
    """The part before the first wildcard decides; where in doubt it is looked into."""
    fixed = re.split(r"[*?\[\\]", pattern, maxsplit=1)[0]
    return fixed.startswith(directory + "/") or (directory + "/").startswith(fixed)


def read_ignore_file(text: str) -> Ignored:
    """What a .dockerignore says. Raises BadRequest."""
    return Ignored(tuple(rule for line in text.removeprefix("\ufeff").split("\n") if (rule := _rule(line))))


def _rule(line: str) -> _Rule | None:
    pattern = "" if line.startswith("#") else line.strip()
    exception = pattern.startswith("!")
    pattern = pattern[exception:].strip()
    if not pattern:
        if exception:
            raise BadRequest('cannot read .dockerignore: illegal exclusion pattern: "!"')
        return None
    cleaned = posixpath.normpath(pattern)
    cleaned = cleaned.lstrip("/") or "/"
    try:
        return _Rule(ignore(cleaned), cleaned, exception)
    except BadPattern as error:
        raise BadRequest(f"cannot read .dockerignore: {error}") from None
