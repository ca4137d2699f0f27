"""Two kinds of patterns for paths: Go's filepath.Match, of COPY and ADD, and that of .dockerignore with ``**``.

They come from whoever wrote the Dockerfile, so no pattern may take long: those that a regular expression would go back
and forth in are followed sign by sign, in all their states at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_WILDCARDS = frozenset("*?[\\")
_MOST_LOOPS = 2
"""Wildcards of any length that a regular expression may have: it takes the length of a path to this power."""
_LOOPS = {"star": "[^/]*", "deep": ".*", "directories": "(?:.*/)?"}


class BadPattern(ValueError):
    """A bracket that is not closed, or an escape of nothing."""


class _Part(NamedTuple):
    kind: str
    """``sign``, or one of _LOOPS."""
    expression: str
    """For one sign."""


class Pattern:
    """Asked whether it fits a whole path."""

    def __init__(self, parts: list[_Part]) -> None:
        self._parts = [(part.kind, re.compile(part.expression, re.DOTALL)) for part in parts]
        loops = sum(part.kind != "sign" for part in parts)
        whole = "".join(_LOOPS.get(part.kind, part.expression) for part in parts)
        self._whole = re.compile(whole, re.DOTALL) if loops <= _MOST_LOOPS else None

    def fits(self, path: str) -> bool:
        """Whether it does."""
        if self._whole is not None:
            return self._whole.fullmatch(path) is not None
        states = self._without_signs({0})
        for sign in path:
            states = self._without_signs(set(self._after(states, sign)))
        return len(self._parts) in states

    def _without_signs(self, states: set[int]) -> set[int]:
        """A state is a part that comes next; a loop may be left at once."""
        found = set(states)
        for state in sorted(states):
            while state < len(self._parts) and self._parts[state][0] != "sign":
                state += 1  # noqa: PLW2901 - to the end of the loops
                found.add(state)
        return found

    def _after(self, states: set[int], sign: str) -> Iterator[int]:
        for state in states:
            if state < len(self._parts):
                kind, expression = self._parts[state]
                if kind == "sign":
                    if expression.fullmatch(sign):
                        yield state + 1
                elif kind != "star" or sign != "/":
                    yield state


def has_wildcards(text: str) -> bool:
    """Whether it is more than a name."""
    return not _WILDCARDS.isdisjoint(text)


@lru_cache(maxsize=256)
def glob(pattern: str) -> Pattern:
    """``*``, ``?``, ``[a-z]``, ``[^a]``, ``\\*``; none of them fits a slash (filepath.Match). Raises BadPattern."""
    return Pattern(_parts(pattern, deep=False))


@lru_cache(maxsize=4096)
def ignore(pattern: str) -> Pattern:
    """The same, and ``**`` for any number of directories (moby/patternmatcher). Raises BadPattern."""
    return Pattern(_parts(pattern, deep=True))


def _parts(pattern: str, *, deep: bool) -> list[_Part]:
    found: list[_Part] = []
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        if deep and pattern.startswith("**", at):
            at, part = _any_directories(pattern, at)
        elif sign == "*":
            at, part = at + 1, _Part("star", "")
        elif sign == "?":
            at, part = at + 1, _Part("sign", "[^/]")
        elif sign == "[":
            at, part = _class(pattern, at)
        else:
            at, part = _letter(pattern, at)
        if part.kind == "sign" or found[-1:] != [part]:  # twice the same loop is once
            found.append(part)
    return found


def _any_directories(pattern: str, at: int) -> tuple[int, _Part]:
    """``**/`` or ``**``; ``**.md`` at the beginning fits any end of a path, as long as nothing else is special."""
    begins, at = at == 0, at + 2
    if begins and pattern[at:] and not pattern.startswith("/", at) and not has_wildcards(pattern[at:]):
        return at, _Part("deep", "")
    if pattern.startswith("/", at):
        at += 1
    return at, _Part("directories" if at < len(pattern) else "deep", "")


def _letter(pattern: str, at: int) -> tuple[int, _Part]:
    if pattern[at] == "\\":
        at += 1
        if at == len(pattern):
            raise BadPattern(f"syntax error in pattern: {pattern[:100]!r}")
    return at + 1, _Part("sign", re.escape(pattern[at]))


def _class(pattern: str, at: int) -> tuple[int, _Part]:
    """``[…]``: letters and ranges; the first one may not be the end."""
    at += 1
    negated = pattern.startswith("^", at)
    at += negated
    ranges: list[str] = []
    while not (ranges and pattern.startswith("]", at)):
        at, first = _class_letter(pattern, at)
        last = first
        if pattern.startswith("-", at):
            at, last = _class_letter(pattern, at + 1)
        ranges.append(f"{re.escape(first)}-{re.escape(last)}" if first <= last else "")
    inside = "".join(ranges)
    if not inside:
        return at + 1, _Part("sign", "[^/]" if negated else "(?!)")
    return at + 1, _Part("sign", f"(?!/)[{'^' * negated}{inside}]")


def _class_letter(pattern: str, at: int) -> tuple[int, str]:
    letter = pattern[at : at + 1]
    if letter == "\\":
        at += 1
        letter = pattern[at : at + 1]
    elif letter in {"-", "]"}:
        letter = ""
    if not letter:
        raise BadPattern(f"syntax error in pattern: {pattern[:100]!r}")
    return at + 1, letter
