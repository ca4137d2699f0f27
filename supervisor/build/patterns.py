"""Two kinds of patterns for paths: Go's filepath.Match, of COPY and ADD, and that of .dockerignore with ``**``."""

from __future__ import annotations

import re
from functools import lru_cache

WILDCARDS = frozenset("*?[")


class BadPattern(ValueError):
    """A bracket that is not closed, or an escape of nothing."""


def has_wildcards(text: str) -> bool:
    """Whether it is more than a name."""
    return bool(WILDCARDS.intersection(text)) or "\\" in text


@lru_cache(maxsize=256)
def glob(pattern: str) -> re.Pattern[str]:
    """``*``, ``?``, ``[a-z]``, ``[^a]``, ``\\*``; none of them fits a slash (filepath.Match). Raises BadPattern."""
    return re.compile(_translated(pattern, deep=False), re.DOTALL)


@lru_cache(maxsize=4096)
def ignore(pattern: str) -> re.Pattern[str]:
    """The same, and ``**`` for any number of directories (moby/patternmatcher). Raises BadPattern."""
    return re.compile(_translated(pattern, deep=True), re.DOTALL)


def _translated(pattern: str, *, deep: bool) -> str:
    found, at = "", 0
    while at < len(pattern):
        sign = pattern[at]
        if deep and pattern.startswith("**", at):
            at, part = _any_directories(pattern, at)
        elif sign == "*":
            at, part = at + 1, "[^/]*"
        elif sign == "?":
            at, part = at + 1, "[^/]"
        elif sign == "[":
            at, part = _class(pattern, at)
        else:
            at, part = _letter(pattern, at)
        found += part
    return found


def _any_directories(pattern: str, at: int) -> tuple[int, str]:
    """``**/`` or ``**``; ``**.md`` at the beginning fits any end of a path, as long as nothing else is special."""
    begins, at = at == 0, at + 2
    if begins and pattern[at:] and not pattern.startswith("/", at) and not has_wildcards(pattern[at:]):
        return at, ".*"
    if pattern.startswith("/", at):
        at += 1
    return at, "(?:.*/)?" if at < len(pattern) else ".*"


def _letter(pattern: str, at: int) -> tuple[int, str]:
    if pattern[at] == "\\":
        at += 1
        if at == len(pattern):
            raise BadPattern(f"syntax error in pattern: {pattern[:100]!r}")
    return at + 1, re.escape(pattern[at])


def _class(pattern: str, at: int) -> tuple[int, str]:
    """``[…]``: letters and ranges; the first one may not be the end."""
    at += 1
    negated = pattern.startswith("^", at)
    at += negated
    parts: list[str] = []
    while not (parts and pattern.startswith("]", at)):
        at, first = _class_letter(pattern, at)
        last = first
        if pattern.startswith("-", at):
            at, last = _class_letter(pattern, at + 1)
        if first <= last:
            parts.append(f"{re.escape(first)}-{re.escape(last)}")
        else:
            parts.append("")
    inside = "".join(parts)
    if not inside:
        return at + 1, "[^/]" if negated else "(?!)"
    return at + 1, f"(?!/)[{'^' * negated}{inside}]"


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
