"""What the grammars of several instructions have in common: flags, the exec form, lists and pairs of words."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from pysup.supervisor.build.errors import bad
from pysup.supervisor.build.instructions import Command, Pairs
from pysup.supervisor.build.lexing import Line, split_words
from pysup.supervisor.build.words import Lexer

SPACES = re.compile(r"[ \t\v\f\r]+")


def flags_of(line: Line, *known: str) -> dict[str, str]:
    """By name; one that is not known is refused, with the reason where it is BuildKit's. Raises BadDockerfile."""
    found: dict[str, str] = {}
    for flag in line.flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        if name not in known:
            told = (
                f"the --{name} option requires BuildKit"
                if name in _OF_BUILDKIT
                else f"unknown flag: --{name}"
            )
            raise bad(line.number, f"{line.keyword}: {told}")
        if not equals:
            raise bad(line.number, f"{line.keyword}: missing a value on flag: --{name}")
        if name in found:
            raise bad(line.number, f"{line.keyword}: duplicate flag specified: --{name}")
        found[name] = value
    return found


_OF_BUILDKIT = frozenset(
    {
        "mount",
        "network",
        "security",
        "device",
        "link",
        "parents",
        "exclude",
        "checksum",
        "keep-git-dir",
        "unpack",
    }
)


def json_words(line: Line, text: str) -> list[str] | None:
    """The exec form; None for the shell form, which is also what looks like the other but is no JSON."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(word, str) for word in words):
        raise bad(line.number, "only string type is allowed in JSON format arrays")
    return list(words)


def command_of(line: Line, text: str) -> Command:
    """What RUN, CMD, ENTRYPOINT and HEALTHCHECK CMD say, in either form."""
    words = json_words(line, text)
    if words is None:
        return Command(words=(text,) if text else (), shell=True)  # noqa: S604 - a field
    return Command(words=tuple(words), shell=False)


def words_of(line: Line) -> list[str]:
    """The words behind the keyword: of a JSON list, or parted at spaces. Raises BadDockerfile."""
    words = json_words(line, line.rest)
    return (SPACES.split(line.rest) if line.rest else []) if words is None else words


def one_word(line: Line) -> str:
    """All that stands behind the keyword. Raises BadDockerfile if that is nothing."""
    flags_of(line)
    if not line.rest:
        raise bad(line.number, f"{line.keyword} requires exactly one argument")
    return line.rest


def some_words(line: Line, words: Sequence[str]) -> tuple[str, ...]:
    """At least one. Raises BadDockerfile."""
    if not words:
        raise bad(line.number, f"{line.keyword} requires at least one argument")
    return tuple(words)


def pairs_of(line: Line, lexer: Lexer) -> Pairs:
    """``a=b c="d e"``, or the old form ``a b c``: one name, and the rest is its value."""
    flags_of(line)
    words = some_words(line, split_words(line.rest, lexer.escape))
    if "=" not in words[0]:
        name, *value = SPACES.split(line.rest, maxsplit=1)
        if not value:
            raise bad(line.number, f"{line.keyword} must have two arguments")
        return ((name, value[0]),)
    for word in words:
        if "=" not in word:
            cause = f"Syntax error - can't find = in {word[:100]!r}. Must be of the form: name=value"
            raise bad(line.number, cause)
    found = tuple(word.partition("=")[::2] for word in words)
    if not all(name for name, _ in found):
        raise bad(line.number, f"{line.keyword} names can not be blank")
    return found
