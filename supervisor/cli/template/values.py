"""Go's idea of a value, for values that come from JSON: printing, truth, comparison, fields, scopes."""

from __future__ import annotations

import json
from typing import Any

from pysup.supervisor.errors import BadRequest


class TemplateError(BadRequest):
    """The template is malformed, or does not fit the value."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"cannot format: {cause}")


class Scope:
    """What a closure sees: dot, ``$`` and the variables; a child sees its parent's variables."""

    __slots__ = ("dot", "names", "parent", "root")

    def __init__(self, dot: Any, parent: Scope | None = None) -> None:
        self.dot = dot
        self.parent = parent
        self.root: Any = parent.root if parent else dot
        self.names: dict[str, Any] = {}

    def inner(self, dot: Any) -> Scope:
        """A nested scope with another dot."""
        return Scope(dot, self)

    def owner(self, name: str) -> Scope:
        """The scope that declared a variable."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope
            scope = scope.parent
        raise TemplateError(f"undefined variable {name}")


def shown(value: Any) -> str:  # noqa: PLR0911 - one line for each type
    """As fmt.Print shows it: ``[a b]``, ``map[k:v]``, ``true``, ``<no value>``."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_nested(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(map(_nested, value)) + "]"
    return str(value)


def _nested(value: Any) -> str:
    return "<nil>" if value is None else shown(value)


def _float(value: float) -> str:
    """Go's %v: the shortest form, exponent from 1e+21 on."""
    if value.is_integer() and abs(value) < 1e21:  # noqa: PLR2004
        return str(int(value))
    return repr(value)


def encoded(value: Any) -> str:
    """JSON as Go writes it for docker: compact, HTML not escaped."""
    if isinstance(value, dict):
        value = dict(value.items())  # a listing's row makes its fields here
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)


def true(value: Any) -> bool:
    """False, 0, nil and what is empty are false."""
    return bool(value)


def field(value: Any, name: str) -> Any:
    """``.Name`` of a value.

    Go's name of a field is its name in JSON but for the case of some letters (APIVersion, ApiVersion). A name that
    Go could not have as a struct's field (in lower case) is the key of a map, and absent keys of maps have no value;
    another absent name is an error, as for a struct.
    """
    if value is None:
        raise TemplateError(f"nil has no field {name}")
    if not isinstance(value, dict):
        raise TemplateError(f"can't evaluate field {name} in {shown(value)!r}")
    try:
        return value[name]
    except KeyError:
        if name[0].islower():
            return None
        for key in value:
            if isinstance(key, str) and key.lower() == name.lower():
                return value[key]
        raise TemplateError(
            f"no field {name!r} here; there are {', '.join(sorted(map(str, value)))}"
        ) from None


def less(left: Any, right: Any) -> bool:
    """``lt``: for two numbers or two strings."""
    both = (left, right)
    if all(isinstance(one, str) for one in both) or all(_numeric(one) for one in both):
        return bool(left < right)
    raise TemplateError("incompatible types for comparison")


def equal(left: Any, right: Any) -> bool:
    """``eq``: basic values of two types are an error, as in Go; nothing else equals nil."""
    if left is None or right is None:
        return left is right
    if type(left) is type(right) or (_numeric(left) and _numeric(right)):
        return bool(left == right)
    raise TemplateError("incompatible types for comparison")


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
