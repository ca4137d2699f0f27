"""``--format``: the subset of Go's text/template that docker's users write, over JSON-like values.

There are fields (``.A.B``), variables, pipelines, literals, ``if``/``else if``/``else``, ``with``, ``range``
(with ``else``, ``break``, ``continue``), comments, trim markers, Go's functions (``and or not eq ne lt le gt
ge index len print printf println slice``) and docker's (``json join split lower upper title pad truncate``).
``define``, ``template`` and ``block`` are refused. See https://pkg.go.dev/text/template.

    lex.py          text -> text pieces and actions, with trim markers applied; an action -> tokens
    expressions.py  tokens -> a closure ``(scope) -> value``
    parse.py        pieces -> a closure ``(scope, out) -> None``
    functions.py    the functions by name
    values.py       Go's idea of a value: how it prints, when it is true, how it compares
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pysup.supervisor.cli.template.functions import FUNCTIONS, HEADER_FUNCTIONS, Function
from pysup.supervisor.cli.template.parse import parse
from pysup.supervisor.cli.template.values import Scope, TemplateError

__all__ = ["HEADER_FUNCTIONS", "Template", "TemplateError"]


class Template:
    """A parsed template. Raises TemplateError if it is malformed; render() does if a value does not fit."""

    def __init__(self, text: str, functions: Mapping[str, Function] = FUNCTIONS) -> None:
        self._body = parse(text, functions)

    def render(self, value: Any) -> str:
        """Apply to one value (dicts, lists, strings, numbers, booleans, None)."""
        out: list[str] = []
        self._body(Scope(value), out.append)
        return "".join(out)
