"""Which parts of which instructions have variables replaced, and by what.

ENV, LABEL, ARG, COPY, ADD, EXPOSE, VOLUME, USER, WORKDIR and STOPSIGNAL do; RUN, CMD and ENTRYPOINT leave that to the
shell, SHELL, HEALTHCHECK, ONBUILD and MAINTAINER have none (Dockerfile reference, Environment replacement).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pysup.supervisor.build.errors import bad
from pysup.supervisor.build.instructions import (
    Arg,
    Copy,
    Env,
    Expose,
    Instruction,
    Label,
    Pairs,
    Text,
    Volume,
)
from pysup.supervisor.build.words import BadWord, Lexer

Expand = Callable[[str], str]


def expanded(instruction: Instruction, env: Mapping[str, str], lexer: Lexer) -> Instruction:
    """With the values of variables. Raises BadDockerfile."""
    expand = _EXPANSIONS.get(type(instruction))
    if expand is None or (isinstance(instruction, Label) and instruction.literal):
        return instruction
    try:
        return replace(instruction, **expand(instruction, lambda word: lexer.expand(word, env), lexer, env))
    except BadWord as error:
        raise bad(instruction.line, f"failed to process {instruction.text[:100]!r}: {error}") from None


def expanded_word(word: str, env: Mapping[str, str], lexer: Lexer, line: int) -> str:
    """One word. Raises BadDockerfile."""
    try:
        return lexer.expand(word, env)
    except BadWord as error:
        raise bad(line, f"failed to process {word[:100]!r}: {error}") from None


def _pairs(instruction: Any, expand: Expand, _lexer: Lexer, _env: Mapping[str, str]) -> dict[str, Any]:  # noqa: ANN401
    found: Pairs = tuple((expand(name), expand(value)) for name, value in instruction.pairs)
    if not all(name for name, _ in found):
        raise BadWord("names can not be blank")
    return {"pairs": found}


def _args(instruction: Any, expand: Expand, _lexer: Lexer, _env: Mapping[str, str]) -> dict[str, Any]:  # noqa: ANN401
    args = ((expand(name), None if value is None else expand(value)) for name, value in instruction.args)
    return {"args": tuple(args)}


def _copy(instruction: Any, expand: Expand, _lexer: Lexer, _env: Mapping[str, str]) -> dict[str, Any]:  # noqa: ANN401
    contents = tuple(
        one._replace(content=expand(one.content) if one.expand else one.content)
        for one in instruction.contents
    )
    return {
        "sources": tuple(map(expand, instruction.sources)),
        "target": expand(instruction.target),
        "contents": contents,
        "origin": expand(instruction.origin),
        "chown": expand(instruction.chown),
        "chmod": expand(instruction.chmod),
    }


def _ports(instruction: Any, _expand: Expand, lexer: Lexer, env: Mapping[str, str]) -> dict[str, Any]:  # noqa: ANN401
    """The only one where one word may become several: ``EXPOSE $PORTS``."""
    return {"ports": tuple(port for word in instruction.ports for port in lexer.split(word, env))}


def _paths(instruction: Any, expand: Expand, _lexer: Lexer, _env: Mapping[str, str]) -> dict[str, Any]:  # noqa: ANN401
    return {"paths": tuple(map(expand, instruction.paths))}


def _text(instruction: Any, expand: Expand, _lexer: Lexer, _env: Mapping[str, str]) -> dict[str, Any]:  # noqa: ANN401
    if instruction.keyword == "MAINTAINER":
        return {}
    return {"value": expand(instruction.value)}


_EXPANSIONS: dict[type[Instruction], Callable[[Any, Expand, Lexer, Mapping[str, str]], dict[str, Any]]] = {
    Arg: _args,
    Copy: _copy,
    Env: _pairs,
    Expose: _ports,
    Label: _pairs,
    Text: _text,
    Volume: _paths,
}
