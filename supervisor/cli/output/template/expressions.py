"""Expressions: the tokens of one action to closures ``(scope) -> value``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pysup.supervisor.cli.output.template.functions import Function
from pysup.supervisor.cli.output.template.lex import Token
from pysup.supervisor.cli.output.template.values import Malformed, Scope, TemplateError, field, true
from pysup.supervisor.cli.output.template.verbs import shown

Expression = Callable[[Scope], Any]
Call = Callable[[Scope, list[Any]], Any]

_CONSTANTS = {"true": True, "false": False, "nil": None}


class Cursor:
    """A place in the tokens of one action."""

    def __init__(self, found: list[Token], functions: Mapping[str, Function], variables: list[str]) -> None:
        self.functions = functions
        self.variables = variables
        """The names that are declared here, inner blocks' last."""
        self.tokens = found
        self.at = 0

    def peek(self) -> Token:
        """The next token, ``end`` after the last."""
        return self.tokens[self.at] if self.at < len(self.tokens) else Token("end", "end of action")

    def take(self) -> Token:
        """The next token, consumed."""
        token = self.peek()
        self.at += 1
        return token

    def skip(self) -> None:
        """Pass over space."""
        while self.peek().kind == "space":
            self.at += 1

    def more(self) -> bool:
        """Whether anything but space is left."""
        self.skip()
        return self.peek().kind != "end"

    def accept(self, text: str) -> bool:
        """Consume a mark if it is next."""
        start = self.at
        self.skip()
        if self.peek() == Token("mark", text):
            self.at += 1
            return True
        self.at = start
        return False


class Declaration(NamedTuple):
    """``[$k, ]$v := pipeline``, ``$v = pipeline`` (``assigns``), or a pipeline alone."""

    names: list[str]
    assigns: bool
    value: Expression


def declaration(cursor: Cursor, *, two: bool = False) -> Declaration:
    """What an action or a block's head says; ``two``: with up to two variables. Declares them."""
    start = cursor.at
    names = _names(cursor, two=two)
    if names and cursor.accept(":="):
        value = _whole(cursor)
        cursor.variables.extend(names)
        return Declaration(names, assigns=False, value=value)
    if names and cursor.accept("="):
        for name in names:
            _declared(cursor, name)
        return Declaration(names, assigns=True, value=_whole(cursor))
    cursor.at = start
    return Declaration([], assigns=False, value=_whole(cursor))


def _declared(cursor: Cursor, name: str) -> None:
    if name not in cursor.variables:
        raise Malformed(f"undefined variable {name}")


def _names(cursor: Cursor, *, two: bool) -> list[str]:
    names: list[str] = []
    while True:
        cursor.skip()
        if cursor.peek().kind != "variable":
            return []
        names.append(cursor.take().text)
        if not two or len(names) > 1 or not cursor.accept(","):
            return names


def _whole(cursor: Cursor) -> Expression:
    """A pipeline that uses up the action."""
    value = _pipeline(cursor)
    if cursor.more():
        raise Malformed(f"unexpected {cursor.peek().text!r} in action")
    return value


def _pipeline(cursor: Cursor) -> Expression:
    """``a | f x | g``: each value becomes the last argument of the next call."""
    stages = [_command(cursor)]
    while cursor.accept("|"):
        if not cursor.more():  # a bar at the end is let pass, as by Go
            break
        stages.append(_command(cursor))
    if len(stages) == 1:
        first = stages[0]
        return lambda scope: first(scope, [])

    def run(scope: Scope) -> Any:
        value = stages[0](scope, [])
        for stage in stages[1:]:
            value = stage(scope, [value])
        return value

    return run


def _command(cursor: Cursor) -> Call:
    """A function with its arguments, or one operand."""
    cursor.skip()
    token = cursor.peek()
    if token.kind == "word" and token.text not in _CONSTANTS:
        return _call(cursor, cursor.take().text, list(_arguments(cursor)))
    if token == Token("word", "nil"):
        raise TemplateError("nil is not a command")  # a late one, in Go
    head = _operand(cursor)
    arguments = list(_arguments(cursor))
    return _applied(head, arguments)


def _arguments(cursor: Cursor) -> Iterator[Expression]:
    while True:
        cursor.skip()
        token = cursor.peek()
        if token.kind == "end" or (token.text in ("|", ")") and token.kind == "mark"):
            return
        yield _operand(cursor)


def _call(cursor: Cursor, name: str, arguments: list[Expression]) -> Call:
    if name in ("and", "or"):
        return _short_circuit(arguments, stop_at=name == "or")
    function = cursor.functions.get(name)
    if function is None:
        raise Malformed(f'function "{name}" not defined')

    def run(scope: Scope, piped: list[Any]) -> Any:
        try:
            return function(*(argument(scope) for argument in arguments), *piped)
        except TypeError:
            raise TemplateError(f"wrong number or type of arguments for {name}") from None

    return run


def _short_circuit(arguments: list[Expression], *, stop_at: bool) -> Call:
    def run(scope: Scope, piped: list[Any]) -> Any:
        value: Any = None
        every = [*arguments, *(_constant(one) for one in piped)]
        if not every:
            raise TemplateError(f"wrong number of arguments for {'or' if stop_at else 'and'}: at least 1")
        for argument in every:
            value = argument(scope)
            if true(value) is stop_at:
                return value
        return value

    return run


def _applied(head: Expression, arguments: list[Expression]) -> Call:
    """An operand on its own, or a method (``.Label "x"``) with its arguments."""

    def run(scope: Scope, piped: list[Any]) -> Any:
        value = head(scope)
        given = [argument(scope) for argument in arguments] + piped
        if callable(value):
            try:
                return value(*given)
            except TypeError:
                raise TemplateError("wrong number or type of arguments for a method") from None
        if given:
            raise TemplateError(f"can't give argument to non-function {shown(value)}")
        return value

    return run


def _operand(cursor: Cursor) -> Expression:
    """One value with the fields that are attached to it."""
    token = cursor.take()
    if token.kind == "field":
        value = _fields(_dot, token.text[1:])
    elif token == Token("mark", "."):
        value = _dot
    elif token.kind == "variable":
        value = _variable(cursor, token.text)
    elif token.kind in ("string", "number"):
        value = _constant(token.value)
    elif token.kind == "word" and token.text in _CONSTANTS:
        value = _constant(_CONSTANTS[token.text])
    elif token.kind == "word":
        return _nullary(cursor, token.text)
    elif token == Token("mark", "("):
        value = _pipeline(cursor)
        if not cursor.accept(")"):
            raise Malformed("unclosed left paren")
    else:
        raise Malformed(f"missing value: unexpected {token.text!r}")
    while cursor.peek().kind == "field":
        value = _fields(value, cursor.take().text[1:])
    return value


def _nullary(cursor: Cursor, name: str) -> Expression:
    call = _call(cursor, name, [])
    return lambda scope: call(scope, [])


def _dot(scope: Scope) -> Any:
    return scope.dot


def _constant(value: Any) -> Expression:
    return lambda _scope: value


def _variable(cursor: Cursor, name: str) -> Expression:
    if name == "$":
        return lambda scope: scope.root
    _declared(cursor, name)
    return lambda scope: scope.owner(name).names[name]


def _fields(value: Expression, name: str) -> Expression:
    return lambda scope: field(value(scope), name)
