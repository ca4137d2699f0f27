"""``--format``: Go's text/template over JSON-like values, with the functions of docker's CLI.

All actions are there (``if`` ``with`` ``range`` ``define`` ``template`` ``block`` ``break`` ``continue``, variables,
pipelines, comments, trim markers), Go's functions (``and or not eq ne lt le gt ge index len slice print printf
println html js urlquery call``) and docker's (``json join split lower upper title pad truncate``). See
https://pkg.go.dev/text/template. Not there: complex numbers, and the bits of a float (``%b %x``). Characters are
counted where Go counts bytes (``slice``, ``truncate``, ``index`` of a string): no letter is cut in two.

    lex.py          text -> text pieces and actions, with trim markers applied; an action -> tokens
    literals.py     constants as Go writes them
    expressions.py  tokens -> a closure ``(scope) -> value``
    parse.py        pieces -> a closure ``(scope, out) -> None``
    functions.py    the functions by name
    printf.py       fmt.Sprintf and its kin; verbs.py shows one value by one verb, floats.py a float
    quoting.py      text made safe for Go, HTML, JavaScript, JSON
    values.py       Go's idea of a value: its type, when it is true, how it compares, its fields
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pysup.supervisor.cli.output.template.functions import FUNCTIONS, HEADER_FUNCTIONS, Function
from pysup.supervisor.cli.output.template.parse import parse
from pysup.supervisor.cli.output.template.values import Malformed, NoField, Scope, TemplateError

__all__ = ["HEADER_FUNCTIONS", "Malformed", "NoField", "Template", "TemplateError"]


class Template:
    """A parsed template. Raises Malformed if it is none; render() raises TemplateError if a value does not fit."""

    def __init__(self, text: str, functions: Mapping[str, Function] = FUNCTIONS) -> None:
        try:
            self._body = parse(text, functions)
        except RecursionError:
            raise Malformed("nested too deeply") from None

    def render(self, value: Any) -> str:
        """Apply to one value (dicts, lists, strings, numbers, booleans, None)."""
        out: list[str] = []
        try:
            self._body(Scope(value), out.append)
        except RecursionError:
            raise TemplateError("templates that call each other without end") from None
        return "".join(out)
