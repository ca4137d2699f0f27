"""Regular expressions that somebody sends. Pure.

Python goes back and forth in them, with nobody else running meanwhile: ``(a|a)(a|a)…`` and ``a*a*a*b`` take longer than
anybody lives. So before one is tried on a text, it is known how many ways there are at most; docker's own (RE2) have
one for all.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import factorial
from typing import NamedTuple

MOST_STEPS = 6_000_000
"""Of one search: a tenth of a second."""
_ENDLESS = 1 << 62
_REPEATS = frozenset("*+{")
_STRANGE = re.compile(r"\(\?#|\(\?[A-Za-z-]*x")
"""Comments, and blanks that mean nothing: what is in them would be taken for the expression."""


class TooCostly(ValueError):
    """It could take long."""

    def __init__(self, pattern: str) -> None:
        super().__init__(f"the expression {pattern[:128]!r} is too complicated")


def check(pattern: str, length: int) -> None:
    """Raises TooCostly if a search in a text of so many characters could take long."""
    if steps(pattern, length) > MOST_STEPS:
        raise TooCostly(pattern)


def steps(pattern: str, length: int) -> int:
    """How many there are at most in a search in a text of so many characters."""
    shape = _shape_of(pattern)
    if shape.endless:
        return _ENDLESS
    powers = shape.loops + (not pattern.startswith("^"))
    return int((length + powers) ** powers // factorial(powers) * shape.ways * (1 + shape.choices // 2))


class _Shape(NamedTuple):
    """What an expression leaves open."""

    loops: int
    """Repeats of any length."""
    choices: int
    """Places where there are several ways on."""
    ways: int
    """The ways through all of those."""
    endless: bool
    """A group is repeated: nobody has counted that."""


@lru_cache(maxsize=64)
def _shape_of(pattern: str) -> _Shape:
    if _STRANGE.search(pattern):
        return _Shape(0, 0, 1, endless=True)
    return _Reading(pattern).shape()


class _Reading:
    """From one sign to the next, with the groups that are open."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._open = [[0, 1]]
        """Ways through the alternatives that are done, and through the one that is read."""
        self._loops = self._choices = 0
        self._endless = False

    def shape(self) -> _Shape:
        """Read all of it."""
        while self._at < len(self._pattern):
            self._one()
        while len(self._open) > 1:
            self._close()
        done, last = self._open[0]
        return _Shape(self._loops, self._choices, done + last, self._endless)

    def _one(self) -> None:
        sign = self._pattern[self._at]
        self._at += 2 if sign == "\\" else 1
        if sign == "[":
            self._skip_set()
        elif sign == "(":
            self._open.append([0, 1])
        elif sign == ")":
            self._close()
        elif sign == "|":
            self._open[-1] = [sum(self._open[-1]), 1]
            self._choices += 1
        elif sign == "?":
            self._open[-1][1] *= 2
            self._choices += 1
        elif sign in _REPEATS:
            self._loops += 1

    def _close(self) -> None:
        if len(self._open) > 1:
            done, last = self._open.pop()
            self._open[-1][1] *= done + last
        self._endless |= self._pattern[self._at : self._at + 1] in _REPEATS

    def _skip_set(self) -> None:
        """Where a bracket comes first, it is one of the signs."""
        self._at += self._pattern.startswith("^", self._at)
        self._at += self._pattern.startswith("]", self._at)
        while self._at < len(self._pattern) and self._pattern[self._at] != "]":
            self._at += 2 if self._pattern[self._at] == "\\" else 1
        self._at += 1
