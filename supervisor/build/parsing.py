"""From lines to instructions: the grammar of each (parse.go of BuildKit), and what is wrong with what breaks it."""

from __future__ import annotations

import re
from collections.abc import Callable

from pysup.supervisor.build.errors import bad
from pysup.supervisor.build.healthcheck import healthcheck
from pysup.supervisor.build.instructions import (
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Instruction,
    Label,
    OnBuild,
    Run,
    Shell,
    Text,
    Volume,
)
from pysup.supervisor.build.lexing import Line, heredoc_of, read_line, split_words
from pysup.supervisor.build.line_parts import (
    SPACES,
    command_of,
    flags_of,
    json_words,
    one_word,
    pairs_of,
    some_words,
    words_of,
)
from pysup.supervisor.build.words import Lexer

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*", re.ASCII)


def parse(line: Line, lexer: Lexer) -> Instruction:
    """One instruction. Raises BadDockerfile."""
    read = _PARSERS.get(line.keyword)
    if read is None:
        raise bad(line.number, f"unknown instruction: {line.keyword[:64]}")
    return read(line, lexer)


# -- instructions --------------------------------------------------------------------------------------------


def _from(line: Line, _lexer: Lexer) -> From:
    words = line.rest.split()
    if len(words) not in {1, 3} or (len(words) == 3 and words[1].lower() != "as"):  # noqa: PLR2004
        raise bad(line.number, "FROM requires either one or three arguments")
    name = words[2].lower() if len(words) > 1 else ""
    if name and not _STAGE_NAME.fullmatch(name):
        cause = f"invalid name for build stage: {words[2][:64]!r}, name can't start with a number or contain symbols"
        raise bad(line.number, cause)
    flags = flags_of(line, "platform")
    return From(
        line=line.number, text=line.text, base=words[0], name=name, platform=flags.get("platform", "")
    )


def _arg(line: Line, lexer: Lexer) -> Arg:
    flags_of(line)
    words = some_words(line, split_words(line.rest, lexer.escape))
    args = tuple((name, value if equals else None) for name, equals, value in map(_partition, words))
    if not all(name for name, _ in args):
        raise bad(line.number, "ARG names can not be blank")
    return Arg(line=line.number, text=line.text, args=args)


def _partition(word: str) -> tuple[str, str, str]:
    return word.partition("=")


def _env(line: Line, lexer: Lexer) -> Env:
    return Env(line=line.number, text=line.text, pairs=pairs_of(line, lexer))


def _label(line: Line, lexer: Lexer) -> Label:
    return Label(line=line.number, text=line.text, pairs=pairs_of(line, lexer))


def _copy(line: Line, _lexer: Lexer) -> Copy:
    add = line.keyword == "ADD"
    flags = flags_of(line, "chown", "chmod", *(() if add else ("from",)))
    words = words_of(line)
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
    flags_of(line)
    command = command_of(line, line.rest)
    some_words(line, command.words)
    return Run(line=line.number, text=line.text, command=command, heredocs=line.heredocs)


def _cmd(line: Line, _lexer: Lexer) -> Cmd:
    flags_of(line)
    return Cmd(line=line.number, text=line.text, command=command_of(line, line.rest))


def _entrypoint(line: Line, _lexer: Lexer) -> Entrypoint:
    flags_of(line)
    return Entrypoint(line=line.number, text=line.text, command=command_of(line, line.rest))


def _shell(line: Line, _lexer: Lexer) -> Shell:
    flags_of(line)
    words = json_words(line, line.rest)
    if words is None:
        raise bad(line.number, "SHELL requires the arguments to be in JSON form")
    return Shell(line=line.number, text=line.text, words=some_words(line, words))


def _expose(line: Line, _lexer: Lexer) -> Expose:
    flags_of(line)
    return Expose(line=line.number, text=line.text, ports=tuple(sorted(some_words(line, line.rest.split()))))


def _volume(line: Line, _lexer: Lexer) -> Volume:
    flags_of(line)
    paths = tuple(path.strip() for path in some_words(line, words_of(line)))
    if not all(paths):
        raise bad(line.number, "VOLUME specified can not be an empty string")
    return Volume(line=line.number, text=line.text, paths=paths)


def _text(line: Line, _lexer: Lexer) -> Text:
    return Text(line=line.number, text=line.text, keyword=line.keyword, value=one_word(line))


def _on_build(line: Line, lexer: Lexer) -> OnBuild:
    trigger = SPACES.split(one_word(line), maxsplit=1)[0].upper()
    if trigger == "ONBUILD":
        raise bad(line.number, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in {"FROM", "MAINTAINER"}:
        raise bad(line.number, f"{trigger} isn't allowed as an ONBUILD trigger")
    behind = "".join(f"\n{one.content}{one.name}" for one in line.heredocs)
    parse(read_line(line.rest + behind, lexer, line.number), lexer)
    return OnBuild(line=line.number, text=line.text, trigger=line.rest + behind)


_PARSERS: dict[str, Callable[[Line, Lexer], Instruction]] = {
    "ADD": _copy,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": healthcheck,
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
