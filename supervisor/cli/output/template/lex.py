"""Cuts a template into text and actions, and an action into tokens (text/template/parse/lex.go)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pysup.supervisor.cli.output.template import literals
from pysup.supervisor.cli.output.template.values import Malformed

_ACTION = re.compile(
    r"\{\{(?P<left>-(?=\s))?\s*"
    r"(?P<body>/\*.*?\*/|(?:\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`[^`]*`|(?!\}\}|(?<=\s)-\}\}).)*?)"
    r"\s*(?P<right>(?<=\s)-)?\}\}",
    re.DOTALL,
)

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>[-+]?(?:\d|\.\d)(?:[eE][-+](?=\d)|(?<=[pP])[-+]|[\w.])*)
    |(?P<field>\.[^\W\d]\w*)
    |(?P<variable>\$\w*)
    |(?P<word>[^\W\d]\w*)
    |(?P<quoted>"(?:\\.|[^"\\\n])*")
    |(?P<raw>`[^`]*`)
    |(?P<char>'(?:\\.|[^'\\\n])+')
    |(?P<mark>:=|[=|(),.])
    """,
    re.VERBOSE,
)


class Piece(NamedTuple):
    """A stretch of text, or (``action``) what stands between ``{{`` and ``}}``."""

    text: str
    action: bool


class Token(NamedTuple):
    """One token of an action. Kinds: number field variable word string mark space."""

    kind: str
    text: str
    value: Any = None


def pieces(template: str) -> Iterator[Piece]:
    """Text and actions in order; comments are gone, and so is the space that trim markers eat."""
    at, trim = 0, False
    for found in _ACTION.finditer(template):
        text = template[at : found.start()]
        text = text.lstrip() if trim else text
        yield Piece(_checked(text.rstrip() if found["left"] else text), action=False)
        if not _is_comment(found["body"]):
            yield Piece(found["body"].strip(), action=True)
        at, trim = found.end(), bool(found["right"])
    rest = template[at:]
    yield Piece(_checked(rest.lstrip() if trim else rest), action=False)


def _is_comment(body: str) -> bool:
    if body.startswith("/*") and body.find("*/", 2) != len(body) - 2:
        raise Malformed(
            "unclosed comment" if "*/" not in body[2:] else "comment ends before closing delimiter"
        )
    return body.startswith("/*")


def _checked(text: str) -> str:
    if "{{" in text:
        raise Malformed("unclosed action")
    return text


def tokens(action: str) -> list[Token]:
    """The tokens of one action. Space is kept only before a field, where ``f .X`` and ``f.X`` differ."""
    made: list[Token] = []
    at = 0
    while at < len(action):
        found = _TOKEN.match(action, at)
        if found is None:
            raise Malformed(f"unexpected {action[at : at + 12]!r} in action")
        at = found.end()
        made.append(_token(str(found.lastgroup), found.group()))
    return made


def _token(kind: str, text: str) -> Token:
    if kind == "number":
        return Token(kind, text, literals.number(text))
    if kind == "quoted":
        return Token("string", text, literals.unquoted(text, '"'))
    if kind == "raw":
        return Token("string", text, text[1:-1])
    if kind == "char":
        return Token("number", text, literals.character(text))
    return Token(kind, text)
