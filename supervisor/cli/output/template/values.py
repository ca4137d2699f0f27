"""Go's idea of a value, for values that come from JSON: its type, when it is true, comparison, fields, scopes."""

from __future__ import annotations

from typing import Any

from pysup.supervisor.errors import BadRequest


class TemplateError(BadRequest):
    """The template does not fit the value."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"cannot format: {cause}")


class Malformed(TemplateError):
    """It is no template at all: docker's exit code for that is 64, save in lists."""

    exit_code = 64


class NoField(TemplateError):
    """A field that the value does not have."""


class Nothing:
    """What is empty in Go's way: a nil pointer, list or map, or no value at all. False, null in JSON."""

    def __init__(self, shown: str, kind: str) -> None:
        self.shown = shown
        self.kind = kind

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0


NO_VALUE = Nothing("<no value>", "<nil>")
"""An absent key of a map."""
NIL = Nothing("<nil>", "<nil>")
NIL_LIST = Nothing("[]", "[]string")
NIL_MAP = Nothing("map[]", "map[string]string")


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


def kind(value: Any) -> str:  # noqa: PLR0911 - one line for each type
    """``%T``. What comes from JSON does not say which type Go has for it: of strings alone it is one of strings."""
    if value is None:
        return "<nil>"
    if isinstance(value, Nothing):
        return value.kind
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, dict):
        return f"map[string]{_kind_of_items(value.values())}"
    return f"[]{_kind_of_items(value)}" if isinstance(value, list | tuple) else type(value).__name__


def _kind_of_items(items: Any) -> str:
    return "string" if all(isinstance(one, str) for one in items) else "interface {}"


def true(value: Any) -> bool:
    """False, 0, nil and what is empty are false."""
    return bool(value)


def field(value: Any, name: str) -> Any:
    """``.Name`` of a value.

    Go's name of a field is its name in JSON but for the case of some letters (APIVersion, ApiVersion). A name that
    Go could not have as a struct's field (in lower case) is the key of a map, and absent keys of maps have no value;
    another absent name is an error, as for a struct.
    """
    if value is NO_VALUE:
        return NO_VALUE
    if value is None or isinstance(value, Nothing):
        raise TemplateError(f"nil has no field {name}")
    if not isinstance(value, dict):
        raise TemplateError(f"can't evaluate field {name} in a value of type {kind(value)}")
    try:
        return value[name]
    except KeyError:
        same = next((key for key in value if isinstance(key, str) and key.lower() == name.lower()), None)
        if same is not None and name[0].isupper():
            return value[same]
        if same is None and not name[0].isupper():
            return NO_VALUE
        there = f"there is {same}" if same else f"there are {', '.join(sorted(map(str, value)))}"
        raise NoField(f"no field {name!r} here; {there}") from None


def less(left: Any, right: Any) -> bool:
    """``lt``: for two numbers or two strings."""
    both = (left, right)
    if all(isinstance(one, str) for one in both) or all(numeric(one) for one in both):
        return bool(left < right)
    raise TemplateError(f"incompatible types for comparison: {kind(left)} and {kind(right)}")


def equal(left: Any, right: Any) -> bool:
    """``eq``: basic values of two types are an error, as in Go; nothing else equals nil.

    An integer and a float may be compared, unlike in Go: a number of JSON does not say which of them it is.
    """
    for one in (left, right):
        if isinstance(one, list | tuple | dict):
            raise TemplateError(f"values of type {kind(one)} cannot be compared")
    if _nil(left) or _nil(right):
        return _nil(left) and _nil(right)
    if type(left) is type(right) or (numeric(left) and numeric(right)):
        return bool(left == right)
    raise TemplateError(f"incompatible types for comparison: {kind(left)} and {kind(right)}")


def _nil(value: Any) -> bool:
    return value is None or isinstance(value, Nothing)


def numeric(value: Any) -> bool:
    """Whether it is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
