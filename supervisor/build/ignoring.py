""".dockerignore: which files of a directory are no part of the context (moby/patternmatcher, ignorefile)."""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple

from pysup.supervisor.build.patterns import BadPattern, Pattern, ignore
from pysup.supervisor.errors import BadRequest

_MOST_KNOWN = 1 << 13
"""Directories whose rules are remembered at once."""


class _Rule(NamedTuple):
    pattern: Pattern
    text: str
    exception: bool


class Ignored:
    """Asked for each path: the last rule that fits it, or a directory above it, decides."""

    def __init__(self, rules: tuple[_Rule, ...] = ()) -> None:
        self._rules = rules
        self._known: dict[str, frozenset[int]] = {}
        """Directories that were met, so that each is matched once, however much lies below it."""

    def __call__(self, path: str) -> bool:
        """Whether a path, relative to the context, is left out."""
        left_out = False
        for number in sorted(self._fitting(path)):
            if self._rules[number].exception == left_out:
                left_out = not left_out
        return left_out

    def _fitting(self, path: str) -> frozenset[int]:
        """The rules that fit a path, or a directory above it."""
        if not self._rules:
            return frozenset()
        above = path.rpartition("/")[0]
        return self._of_directory(above) | self._fitting_alone(path)

    def _of_directory(self, path: str) -> frozenset[int]:
        way = []
        while path and path not in self._known:
            way.append(path)
            path = path.rpartition("/")[0]
        found = self._known.get(path, frozenset())
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        for one in reversed(way):
            found = self._known[one] = found | self._fitting_alone(one)
        return found

    def _fitting_alone(self, path: str) -> frozenset[int]:
        return frozenset(number for number, rule in enumerate(self._rules) if rule.pattern.fits(path))

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
