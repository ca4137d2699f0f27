"""Statements: the pieces of a template to one closure ``(scope, out) -> None``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pysup.supervisor.cli.output.template.expressions import Cursor, Declaration, Expression, declaration
from pysup.supervisor.cli.output.template.functions import Function
from pysup.supervisor.cli.output.template.lex import Token, pieces, tokens
from pysup.supervisor.cli.output.template.values import (
    NO_VALUE,
    Malformed,
    Nothing,
    Scope,
    TemplateError,
    true,
)
from pysup.supervisor.cli.output.template.verbs import shown

Out = Callable[[str], object]
Statement = Callable[[Scope, Out], None]


class _Break(Exception):
    """``{{break}}`` on its way to its range."""


class _Continue(Exception):
    """``{{continue}}`` on its way to its range."""


def parse(template: str, functions: Mapping[str, Function]) -> Statement:
    """The whole template as one statement. Raises Malformed."""
    blocks = _Blocks(template, functions)
    body, ender = blocks.body()
    if ender is not None:
        raise Malformed(f"unexpected {{{{{ender[0].text}}}}}")
    for name in blocks.named.asked:
        if name not in blocks.named.bodies:
            blocks.named.bodies[name] = _raising(TemplateError(f"template {name!r} not defined"))
    return body


class _Named:
    """What ``define`` and ``block`` have named; it may be used before it is there."""

    def __init__(self) -> None:
        self.bodies: dict[str, Statement] = {}
        self.empty: set[str] = set()
        self.asked: set[str] = set()

    def define(self, name: str, body: Statement, *, empty: bool) -> None:
        """One that has nothing but space gives way to another one, as in Go."""
        if name in self.bodies and name not in self.empty:
            if empty:
                return
            raise Malformed(f"multiple definition of template {name!r}")
        self.bodies[name] = body
        (self.empty.add if empty else self.empty.discard)(name)

    def call(self, name: str, value: Expression | None) -> Statement:
        """``{{template}}``: with a scope of its own, whose dot and ``$`` are the value."""
        self.asked.add(name)

        def run(scope: Scope, out: Out) -> None:
            self.bodies[name](Scope(value(scope) if value else NO_VALUE), out)

        return run


class _Blocks:
    """The control structure: a cursor over the template's pieces."""

    def __init__(self, template: str, functions: Mapping[str, Function]) -> None:
        self.functions = functions
        self.pieces = iter(list(pieces(template)))
        self.named = _Named()
        self.loops = 0
        self.depth = 0
        self.variables: list[str] = []
        self.blank = True

    def body(self) -> tuple[Statement, list[Token] | None]:
        """Statements up to an ``end`` or ``else`` (given back) or the end of the template (None)."""
        made: list[Statement] = []
        blank, known = True, len(self.variables)
        for piece in self.pieces:
            if not piece.action:
                made.append(_text(piece.text))
                blank = blank and not piece.text.strip()
                continue
            found = tokens(piece.text)
            word = found[0].text if found and found[0].kind == "word" else ""
            if word in ("end", "else"):
                self.blank = blank
                del self.variables[known:]
                return _sequence(made), found
            made.append(self.statement(word, found))
            blank = blank and word == "define"
        return _sequence(made), None

    def statement(self, word: str, found: list[Token]) -> Statement:
        """One action."""
        if word in ("if", "with", "range"):
            return self.block(word, found[1:])
        if word in ("break", "continue"):
            return self.jump(word)
        if word in ("define", "block"):
            return self.define(word, found[1:])
        cursor = self.cursor(found)
        if word == "template":
            cursor.take()
            name = _name_of(cursor, word)
            return self.named.call(name, declaration(cursor).value if cursor.more() else None)
        return _action(cursor)

    def cursor(self, found: list[Token]) -> Cursor:
        return Cursor(found, self.functions, self.variables)

    def jump(self, word: str) -> Statement:
        """``break`` or ``continue``."""
        if not self.loops:
            raise Malformed(f"{{{{{word}}}}} outside {{{{range}}}}")
        return _raising(_Break() if word == "break" else _Continue())

    def define(self, word: str, head: list[Token]) -> Statement:
        """``define`` gives a name; ``block`` does, and shows it here. Nothing of what is around is known inside."""
        if word == "define" and self.depth:
            raise Malformed("{{define}} inside another block")
        cursor = self.cursor(head)
        name = _name_of(cursor, word)
        if cursor.more() != (word == "block"):
            raise Malformed(
                f"unexpected words in {{{{{word}}}}}" if word == "define" else "missing value for block"
            )
        value = declaration(cursor).value if word == "block" else None
        around = self.loops, self.variables
        self.loops, self.variables = 0, []
        body = self.until_end(word)
        self.loops, self.variables = around
        self.named.define(name, body, empty=self.blank)
        return self.named.call(name, value) if word == "block" else _nothing

    def until_end(self, word: str) -> Statement:
        """A body that has no ``else``."""
        self.depth += 1
        body, ender = self.body()
        self.depth -= 1
        if ender is None or ender[0].text != "end":
            raise Malformed(f"{{{{{word}}}}} has no {{{{end}}}}" if ender is None else "unexpected {{else}}")
        return body

    def block(self, word: str, head: list[Token]) -> Statement:
        """``if``, ``with`` or ``range`` with what follows, up to its ``end``."""
        known = len(self.variables)
        declared = declaration(self.cursor(head), two=word == "range")
        self.loops += word == "range"
        self.depth += 1
        body, ender = self.body()
        self.depth -= 1
        self.loops -= word == "range"
        other = self.otherwise(ender, word)
        del self.variables[known:]
        return _range(declared, body, other) if word == "range" else _if(declared, body, other, word)

    def otherwise(self, ender: list[Token] | None, word: str) -> Statement:
        """What stands after ``else``; nothing after ``end``. ``else if`` follows an if, ``else with`` a with."""
        if ender is None:
            raise Malformed(f"unexpected EOF: {{{{{word}}}}} has no {{{{end}}}}")
        rest = [token for token in ender[1:] if token.kind != "space"]
        if ender[0].text == "end":
            if rest:
                raise Malformed(f"unexpected {rest[0].text!r} after end")
            return _nothing
        if rest:
            if rest[0].text != word or word == "range":
                raise Malformed(f"unexpected {rest[0].text!r} after the else of {{{{{word}}}}}")
            return self.block(word, ender[ender.index(rest[0]) + 1 :])
        return self.until_end("else")


def _name_of(cursor: Cursor, word: str) -> str:
    cursor.skip()
    token = cursor.take()
    if token.kind != "string":
        raise Malformed(f"unexpected {token.text!r} in {{{{{word}}}}}: its name stands in quotes")
    return str(token.value)


def _nothing(_scope: Scope, _out: Out) -> None:
    pass


def _text(text: str) -> Statement:
    return lambda _scope, out: _void(out(text))


def _void(_value: object) -> None:
    """Drop a value where a statement is wanted."""


def _raising(error: Exception) -> Statement:
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
    declared = declaration(cursor)
    value = declared.value
    if not declared.names:
        return lambda scope, out: _void(out(shown(value(scope))))
    return lambda scope, _out: _set(declared, scope, scope, (value(scope),))


def _set(declared: Declaration, scope: Scope, inner: Scope, values: tuple[Any, ...]) -> None:
    """Give the variables their values: new ones in the inner scope, or those that are there."""
    for name, value in zip(declared.names, values, strict=False):
        owner = scope.owner(name) if declared.assigns else inner
        owner.names[name] = value


def _if(declared: Declaration, body: Statement, other: Statement, word: str) -> Statement:
    def run(scope: Scope, out: Out) -> None:
        found = declared.value(scope)
        inner = scope.inner(found if word == "with" and true(found) else scope.dot)
        _set(declared, scope, inner, (found,))
        (body if true(found) else other)(inner, out)

    return run


def _range(declared: Declaration, body: Statement, other: Statement) -> Statement:
    two = len(declared.names) > 1

    def run(scope: Scope, out: Out) -> None:
        value = declared.value(scope)
        pairs = _pairs(value)
        if two and isinstance(value, int):
            raise TemplateError(f"can't use {value} to iterate over more than one variable")
        if not pairs:
            other(scope, out)
        for key, one in pairs:
            inner = scope.inner(one)
            _set(declared, scope, inner, (key, one) if two else (one,))
            try:
                body(inner, out)
            except _Continue:
                continue
            except _Break:
                return

    return run


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    """What a range goes over: items of a list, entries of a map in order of key, 0 to n-1."""
    if value is None or isinstance(value, Nothing):
        return []
    if isinstance(value, dict):
        return [(key, value[key]) for key in sorted(value)]
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return [(number, number) for number in range(value)]
    raise TemplateError(f"range can't iterate over {shown(value)}")
