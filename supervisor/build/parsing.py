"""From lines to instructions: the grammar of each (parse.go of BuildKit), and what is wrong with what breaks it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from pysup.supervisor.build.errors import bad
from pysup.supervisor.build.instructions import (
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Instruction,
    Label,
    OnBuild,
    Pairs,
    Run,
    Shell,
    Text,
    Volume,
)
from pysup.supervisor.build.lexing import Line, heredoc_of, read_line, split_words
from pysup.supervisor.build.words import Lexer
from pysup.supervisor.spec.units import parse_duration

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*", re.ASCII)
_SPACES = re.compile(r"[ \t\v\f\r]+")
_SHORTEST = 0.001
"""Seconds between two health checks, at least."""


def parse(line: Line, lexer: Lexer) -> Instruction:
    """One instruction. Raises BadDockerfile."""
    read = _PARSERS.get(line.keyword)
    if read is None:
        raise bad(line.number, f"unknown instruction: {line.keyword[:64]}")
    return read(line, lexer)


# -- parts ---------------------------------------------------------------------------------------------------


def _flags(line: Line, *known: str) -> dict[str, str]:
    """By name; one that is not known is refused, with the reason where it is BuildKit's."""
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


def _json(line: Line, text: str) -> list[str] | None:
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


def _command(line: Line, text: str) -> Command:
    words = _json(line, text)
    if words is None:
        return Command(words=(text,) if text else (), shell=True)  # noqa: S604 - a field
    return Command(words=tuple(words), shell=False)


def _words(line: Line) -> list[str]:
    words = _json(line, line.rest)
    return (_SPACES.split(line.rest) if line.rest else []) if words is None else words


def _one(line: Line) -> str:
    _flags(line)
    if not line.rest:
        raise bad(line.number, f"{line.keyword} requires exactly one argument")
    return line.rest


def _some(line: Line, words: Sequence[str]) -> tuple[str, ...]:
    if not words:
        raise bad(line.number, f"{line.keyword} requires at least one argument")
    return tuple(words)


def _pairs(line: Line, lexer: Lexer) -> Pairs:
    """``a=b c="d e"``, or the old form ``a b c``: one name, and the rest is its value."""
    _flags(line)
    words = _some(line, split_words(line.rest, lexer.escape))
    if "=" not in words[0]:
        name, *value = _SPACES.split(line.rest, maxsplit=1)
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


# -- instructions --------------------------------------------------------------------------------------------


def _from(line: Line, _lexer: Lexer) -> From:
    words = line.rest.split()
    if len(words) not in {1, 3} or (len(words) == 3 and words[1].lower() != "as"):  # noqa: PLR2004
        raise bad(line.number, "FROM requires either one or three arguments")
    name = words[2].lower() if len(words) > 1 else ""
    if name and not _STAGE_NAME.fullmatch(name):
        cause = f"invalid name for build stage: {words[2][:64]!r}, name can't start with a number or contain symbols"
        raise bad(line.number, cause)
    flags = _flags(line, "platform")
    return From(
        line=line.number, text=line.text, base=words[0], name=name, platform=flags.get("platform", "")
    )


def _arg(line: Line, lexer: Lexer) -> Arg:
    _flags(line)
    words = _some(line, split_words(line.rest, lexer.escape))
    args = tuple((name, value if equals else None) for name, equals, value in map(_partition, words))
    if not all(name for name, _ in args):
        raise bad(line.number, "ARG names can not be blank")
    return Arg(line=line.number, text=line.text, args=args)


def _partition(word: str) -> tuple[str, str, str]:
    return word.partition("=")


def _env(line: Line, lexer: Lexer) -> Env:
    return Env(line=line.number, text=line.text, pairs=_pairs(line, lexer))


def _label(line: Line, lexer: Lexer) -> Label:
    return Label(line=line.number, text=line.text, pairs=_pairs(line, lexer))


def _copy(line: Line, _lexer: Lexer) -> Copy:
    add = line.keyword == "ADD"
    flags = _flags(line, "chown", "chmod", *(() if add else ("from",)))
    words = _words(line)
    if len(words) < 2:  # noqa: PLR2004 - from where, and to where
        told = (
            "requires at least two arguments, but only one was provided. Destination could not be determined"
        )
        raise bad(line.number, f"{line.keyword} {told}")
    *sources, target = words
    if heredoc_of(target):
        raise bad(line.number, f"{line.keyword} cannot accept a heredoc as a destination")
    return Copy(
        line=line.number,
        text=line.text,
        add=add,
        sources=tuple(source for source in sources if heredoc_of(source) is None),
        target=target,
        contents=line.heredocs,
        origin=flags.get("from", ""),
        chown=flags.get("chown", ""),
        chmod=flags.get("chmod", ""),
    )


def _run(line: Line, _lexer: Lexer) -> Run:
    _flags(line)
    command = _command(line, line.rest)
    _some(line, command.words)
    return Run(line=line.number, text=line.text, command=command, heredocs=line.heredocs)


def _cmd(line: Line, _lexer: Lexer) -> Cmd:
    _flags(line)
    return Cmd(line=line.number, text=line.text, command=_command(line, line.rest))


def _entrypoint(line: Line, _lexer: Lexer) -> Entrypoint:
    _flags(line)
    return Entrypoint(line=line.number, text=line.text, command=_command(line, line.rest))


def _shell(line: Line, _lexer: Lexer) -> Shell:
    _flags(line)
    words = _json(line, line.rest)
    if words is None:
        raise bad(line.number, "SHELL requires the arguments to be in JSON form")
    return Shell(line=line.number, text=line.text, words=_some(line, words))


def _expose(line: Line, _lexer: Lexer) -> Expose:
    _flags(line)
    return Expose(line=line.number, text=line.text, ports=tuple(sorted(_some(line, line.rest.split()))))


def _volume(line: Line, _lexer: Lexer) -> Volume:
    _flags(line)
    paths = tuple(path.strip() for path in _some(line, _words(line)))
    if not all(paths):
        raise bad(line.number, "VOLUME specified can not be an empty string")
    return Volume(line=line.number, text=line.text, paths=paths)


def _text(line: Line, _lexer: Lexer) -> Text:
    return Text(line=line.number, text=line.text, keyword=line.keyword, value=_one(line))


def _on_build(line: Line, lexer: Lexer) -> OnBuild:
    trigger = _SPACES.split(_one(line), maxsplit=1)[0].upper()
    if trigger == "ONBUILD":
        raise bad(line.number, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in {"FROM", "MAINTAINER"}:
        raise bad(line.number, f"{trigger} isn't allowed as an ONBUILD trigger")
    behind = "".join(f"\n{one.content}{one.name}" for one in line.heredocs)
    parse(read_line(line.rest + behind, lexer, line.number), lexer)
    return OnBuild(line=line.number, text=line.text, trigger=line.rest + behind)


# -- health checks -------------------------------------------------------------------------------------------

_PERIODS = {
    "interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod", "start-interval": "StartInterval",
}  # fmt: skip


def _healthcheck(line: Line, _lexer: Lexer) -> Healthcheck:
    kind, *rest = _some(line, _SPACES.split(line.rest, maxsplit=1) if line.rest else [])
    if kind.upper() == "NONE":
        if rest:
            raise bad(line.number, "HEALTHCHECK NONE takes no arguments")
        return Healthcheck(line=line.number, text=line.text, check={"Test": ["NONE"]})
    if kind.upper() != "CMD":
        raise bad(line.number, f"Unknown type {kind[:64]!r} in HEALTHCHECK (try CMD)")
    command = _command(line, "".join(rest))
    if not command.words:
        raise bad(line.number, "Missing command after HEALTHCHECK CMD")
    flags = _flags(line, *_PERIODS, "retries")
    check: dict[str, Any] = {"Test": ["CMD-SHELL" if command.shell else "CMD", *command.words]}
    check |= {field: _period(line, name, flags[name]) for name, field in _PERIODS.items() if name in flags}
    check |= {"Retries": _retries(line, flags["retries"])} if "retries" in flags else {}
    return Healthcheck(
        line=line.number, text=line.text, check={key: value for key, value in check.items() if value}
    )


def _period(line: Line, name: str, text: str) -> int:
    """Nanoseconds."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise bad(line.number, f"HEALTHCHECK --{name}: {error}") from None
    if 0 < seconds < _SHORTEST or seconds < 0:
        raise bad(line.number, f"HEALTHCHECK --{name}: {text[:64]} cannot be less than 1ms")
    return round(seconds * 10**9)


def _retries(line: Line, text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise bad(line.number, f"HEALTHCHECK --retries: {text[:64]!r} is not a number, or is negative")
    return int(text)


_PARSERS: dict[str, Callable[[Line, Lexer], Instruction]] = {
    "ADD": _copy,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _text,
    "ONBUILD": _on_build,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _text,
    "USER": _text,
    "VOLUME": _volume,
    "WORKDIR": _text,
}
KEYWORDS = frozenset(_PARSERS)
