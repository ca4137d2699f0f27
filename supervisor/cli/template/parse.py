"""Statements: the pieces of a template to one closure ``(scope, out) -> None``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pysup.supervisor.cli.template.expressions import Cursor, Expression, declaration, head_of
from pysup.supervisor.cli.template.functions import Function
from pysup.supervisor.cli.template.lex import Token, pieces, tokens
from pysup.supervisor.cli.template.values import Scope, TemplateError, shown, true

Out = Callable[[str], object]
Statement = Callable[[Scope, Out], None]


class _Break(Exception):
    """``{{break}}`` on its way to its range."""


class _Continue(Exception):
    """``{{continue}}`` on its way to its range."""


def parse(template: str, functions: Mapping[str, Function]) -> Statement:
    """The whole template as one statement."""
    blocks = _Blocks(template, functions)
    body, ender = blocks.body()
    if ender is not None:
        raise TemplateError(f"unexpected {{{{{ender[0].text}}}}}")
    return body


class _Blocks:
    """The control structure: a cursor over the template's pieces."""

    def __init__(self, template: str, functions: Mapping[str, Function]) -> None:
        self.functions = functions
        self.pieces = iter(list(pieces(template)))
        self.loops = 0

    def body(self) -> tuple[Statement, list[Token] | None]:
        """Statements up to an ``end`` or ``else`` (given back) or the end of the template (None)."""
        made: list[Statement] = []
        for piece in self.pieces:
            if not piece.action:
                made.append(_text(piece.text))
                continue
            found = tokens(piece.text)
            word = found[0].text if found and found[0].kind == "word" else ""
            if word in ("end", "else"):
                return _sequence(made), found
            made.append(self.statement(word, found))
        return _sequence(made), None

    def statement(self, word: str, found: list[Token]) -> Statement:
        """One action."""
        if word in ("if", "with", "range"):
            return self.block(word, found[1:])
        if word in ("break", "continue"):
            return self.jump(word)
        if word in ("define", "template", "block"):
            raise TemplateError(f"{{{{{word}}}}} is not supported")
        return _action(Cursor(found, self.functions))

    def jump(self, word: str) -> Statement:
        """``break`` or ``continue``."""
        if not self.loops:
            raise TemplateError(f"{{{{{word}}}}} outside {{{{range}}}}")
        return _raising(_Break if word == "break" else _Continue)

    def block(self, word: str, head: list[Token]) -> Statement:
        """``if``, ``with`` or ``range`` with what follows, up to its ``end``."""
        names, value = head_of(Cursor(head, self.functions), two=word == "range")
        self.loops += word == "range"
        body, ender = self.body()
        self.loops -= word == "range"
        other = self.otherwise(ender, word)
        if word == "range":
            return _range(names, value, body, other)
        return _if(names, value, body, other, rebind=word == "with")

    def otherwise(self, ender: list[Token] | None, word: str) -> Statement:
        """What stands after ``else``; nothing after ``end``."""
        if ender is None:
            raise TemplateError(f"unexpected EOF: {{{{{word}}}}} has no {{{{end}}}}")
        rest = [token for token in ender[1:] if token.kind != "space"]
        if ender[0].text == "end":
            return _nothing
        if rest:
            if rest[0].text not in ("if", "with"):
                raise TemplateError(f"unexpected {rest[0].text} after else")
            return self.block(rest[0].text, ender[ender.index(rest[0]) + 1 :])
        body, end = self.body()
        if end is None or end[0].text != "end":
            raise TemplateError("expected {{end}} after {{else}}")
        return body


def _nothing(_scope: Scope, _out: Out) -> None:
    pass


def _text(text: str) -> Statement:
    return lambda _scope, out: _void(out(text))


def _void(_value: object) -> None:
    """Drop a value where a statement is wanted."""


def _raising(error: type[Exception]) -> Statement:
    def run(_scope: Scope, _out: Out) -> None:
        raise error

    return run


def _sequence(made: list[Statement]) -> Statement:
    def run(scope: Scope, out: Out) -> None:
        for statement in made:
            statement(scope, out)

    return run


def _action(cursor: Cursor) -> Statement:
    """A pipeline that is printed, or a variable that is declared or assigned."""
    names, assigns, value = declaration(cursor, two=False)
    if not names:
        return lambda scope, out: _void(out(shown(value(scope))))

    def run(scope: Scope, _out: Out) -> None:
        owner = scope.owner(names[0]) if assigns else scope
        owner.names[names[0]] = value(scope)

    return run


def _if(names: list[str], value: Expression, body: Statement, other: Statement, *, rebind: bool) -> Statement:
    def run(scope: Scope, out: Out) -> None:
        found = value(scope)
        inner = scope.inner(found if rebind and true(found) else scope.dot)
        inner.names.update(dict.fromkeys(names, found))
        (body if true(found) else other)(inner, out)

    return run


def _range(names: list[str], value: Expression, body: Statement, other: Statement) -> Statement:
    def run(scope: Scope, out: Out) -> None:
        pairs = _pairs(value(scope))
        if not pairs:
            other(scope, out)
        for key, one in pairs:
            inner = scope.inner(one)
            inner.names.update(zip(names, (key, one) if len(names) > 1 else (one,), strict=False))
            try:
                body(inner, out)
            except _Continue:
                continue
            except _Break:
                return

    return run


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    """What a range goes over: items of a list, entries of a map in order of key, 0 to n-1."""
    if value is None:
        return []
    if isinstance(value, dict):
        return [(key, value[key]) for key in sorted(value)]
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return [(number, number) for number in range(value)]
    raise TemplateError(f"range can't iterate over {shown(value)}")
