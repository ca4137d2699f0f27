"""The functions of Go's text/template and of docker's CLI (docker/cli templates/templates.go), by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

from pysup.supervisor.cli.output.template import quoting
from pysup.supervisor.cli.output.template.printf import sprint, sprintf, sprintln
from pysup.supervisor.cli.output.template.quoting import encoded
from pysup.supervisor.cli.output.template.values import (
    NIL,
    NIL_LIST,
    NIL_MAP,
    Nothing,
    TemplateError,
    equal,
    kind,
    less,
)
from pysup.supervisor.cli.output.template.verbs import shown

Function = Callable[..., Any]


def _eq(first: Any, *others: Any) -> bool:
    if not others:
        raise TemplateError("missing argument for eq")
    return any(equal(first, other) for other in others)


def _split(text: Any, separator: Any) -> list[str]:
    return _text(text).split(_text(separator)) if separator else list(_text(text))


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = _item(value, key)
    return value


def _item(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        if not isinstance(key, str):
            raise TemplateError(f"cannot index with {shown(key)!r}: the keys are strings")
        return value.get(key, "" if all(isinstance(one, str) for one in value.values()) else NIL)
    if value is NIL_MAP and isinstance(key, str):
        return ""
    if value is None or isinstance(value, Nothing):
        raise TemplateError("index of nil")
    if isinstance(key, bool) or not isinstance(key, int):
        raise TemplateError(f"cannot index with {shown(key)!r}")
    if not isinstance(value, list | tuple | str):
        raise TemplateError(f"can't index {shown(value)!r}")
    if not 0 <= key < len(value):
        raise TemplateError(f"index out of range: {key}")
    return ord(value[key]) if isinstance(value, str) else value[key]


def _len(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, dict | list | tuple) or value in (NIL_LIST, NIL_MAP):
        return len(value)
    raise TemplateError(f"len of {shown(value)}")


def _slice(value: Any, *bounds: Any) -> Any:
    if not isinstance(value, str | list | tuple):
        raise TemplateError(f"can't slice {shown(value)!r}")
    if len(bounds) > (2 if isinstance(value, str) else 3):
        raise TemplateError(f"slice: too many indexes for a value of type {kind(value)}")
    for bound in bounds:
        _count(bound, "slice")
    limits = [0, *bounds[:1], *bounds[1:], len(value)] if bounds else [0, len(value)]
    if limits != sorted(limits):
        raise TemplateError("slice index out of range")
    low, high = (*bounds, len(value))[:2] if bounds else (0, len(value))
    return value[low:high]


def _join(values: Any, separator: str) -> str:
    if values is None or isinstance(values, Nothing):
        return ""
    if isinstance(values, dict):
        return _text(separator).join(sorted(map(shown, values.values())))
    if not isinstance(values, list | tuple):
        raise TemplateError(f"join: expected a list, got {shown(values)!r}")
    return _text(separator).join(map(shown, values))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TemplateError(f"expected a string; got {shown(value)}")
    return value


def _count(number: Any, name: str) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise TemplateError(f"{name}: expected a number of characters; got {shown(number)}")
    return number


def _pad(text: str, prefix: Any, suffix: Any) -> str:
    return " " * _count(prefix, "pad") + text + " " * _count(suffix, "pad") if text else text


def _call(function: Any, *_arguments: Any) -> Any:
    """No value that comes from JSON is a function, and Go calls no methods so."""
    raise TemplateError(f"call: a value of type {kind(function)} is no function")


def _escaped(escape: Callable[[str], str]) -> Function:
    return lambda *values: escape(sprint(*values))


def _cased(text: str, change: Callable[[str], str]) -> str:
    """Letter by letter, as Go does it: what would become two letters stays."""
    return "".join(new if len(new := change(one)) == 1 else one for one in text)


def _title(text: str) -> str:
    return re.sub(r"(?<!\w)\w", lambda found: _cased(found.group(), str.title), text)


FUNCTIONS: dict[str, Function] = {
    "not": lambda value: not value,
    "call": _call,
    "eq": _eq,
    "ne": lambda left, right: not equal(left, right),
    "lt": less,
    "le": lambda left, right: not less(right, left),
    "gt": lambda left, right: less(right, left),
    "ge": lambda left, right: not less(left, right),
    "index": _index,
    "len": _len,
    "slice": _slice,
    "print": sprint,
    "println": sprintln,
    "printf": lambda form, *values: sprintf(_text(form), *values),
    "html": _escaped(quoting.html),
    "js": _escaped(quoting.js),
    "urlquery": _escaped(quote_plus),
    "json": encoded,
    "join": _join,
    "split": _split,
    "lower": lambda text: _cased(_text(text), str.lower),
    "upper": lambda text: _cased(_text(text), str.upper),
    "title": lambda text: _title(_text(text)),
    "pad": lambda text, prefix, suffix: _pad(_text(text), prefix, suffix),
    "truncate": lambda text, length: _text(text)[: _count(length, "truncate")],
}
"""``and`` and ``or`` are not here: they do not evaluate what they need not (parse.py)."""

HEADER_FUNCTIONS: dict[str, Function] = {
    **FUNCTIONS,
    **dict.fromkeys(
        ("json", "split", "join", "title", "lower", "upper", "truncate"), lambda text, *_rest: text
    ),
}
"""For the header line of a table made by a template: a column's name stays as it is."""
