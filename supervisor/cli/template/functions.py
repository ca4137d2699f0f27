"""The functions of Go's text/template and of docker's CLI (docker/cli templates/templates.go), by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

from pysup.supervisor.cli.template.values import TemplateError, encoded, equal, less, shown

Function = Callable[..., Any]


def _eq(first: Any, *others: Any) -> bool:
    if not others:
        raise TemplateError("missing argument for eq")
    return any(equal(first, other) for other in others)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = _item(value, key)
    return value


def _item(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        return value.get(key, "" if all(isinstance(one, str) for one in value.values()) else None)
    if value is None:
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
    if isinstance(value, dict | list | tuple):
        return len(value)
    raise TemplateError(f"len of {shown(value)}")


def _slice(value: Any, *bounds: int) -> Any:
    if not isinstance(value, str | list | tuple):
        raise TemplateError(f"can't slice {shown(value)!r}")
    low, high = (*bounds, len(value))[:2] if bounds else (0, len(value))
    if not 0 <= low <= high <= len(value):
        raise TemplateError("slice index out of range")
    return value[low:high]


def _print(*values: Any) -> str:
    """fmt.Sprint: a space between operands when neither is a string."""
    made = ""
    for at, value in enumerate(values):
        if at and not isinstance(value, str) and not isinstance(values[at - 1], str):
            made += " "
        made += shown(value)
    return made


def _join(values: Any, separator: str) -> str:
    if values is None:
        return ""
    if isinstance(values, dict):
        return separator.join(sorted(map(shown, values.values())))
    if not isinstance(values, list | tuple):
        raise TemplateError(f"join: expected a list, got {shown(values)!r}")
    return separator.join(map(shown, values))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TemplateError(f"expected a string; got {shown(value)}")
    return value


def _pad(text: str, prefix: int, suffix: int) -> str:
    return " " * prefix + text + " " * suffix if text else text


_VERB = re.compile(r"%([-+# 0]*)(\d+|\*)?(?:\.(\d+|\*))?([a-zA-Z%])")
_CONVERSIONS: dict[str, tuple[str, Function]] = {
    "v": ("s", shown),
    "s": ("s", shown),
    "q": ("s", encoded),
    "t": ("s", shown),
    "d": ("d", int),
    "x": ("x", int),
    "X": ("X", int),
    "o": ("o", int),
    "c": ("c", int),
    "f": ("f", float),
    "e": ("e", float),
    "g": ("g", float),
}


def _printf(form: str, *values: Any) -> str:
    """fmt.Sprintf, for the verbs that both languages know."""
    rest = iter(values)

    def one(found: re.Match[str]) -> str:
        flags, width, precision, verb = found.groups()
        if verb == "%":
            return "%"
        if verb not in _CONVERSIONS:
            raise TemplateError(f"printf: unknown verb %{verb}")
        width = next(rest) if width == "*" else width
        python, convert = _CONVERSIONS[verb]
        dot = f".{precision}" if precision else ""
        try:
            return str(f"%{flags}{width or ''}{dot}{python}" % convert(next(rest)))
        except StopIteration:
            return f"%!{verb}(MISSING)"
        except (TypeError, ValueError) as error:
            raise TemplateError(f"printf: %{verb}: {error}") from None

    return _VERB.sub(one, form)


def _html(*values: Any) -> str:
    from html import escape

    return escape(_print(*values))


FUNCTIONS: dict[str, Function] = {
    "not": lambda value: not value,
    "eq": _eq,
    "ne": lambda left, right: not equal(left, right),
    "lt": less,
    "le": lambda left, right: not less(right, left),
    "gt": lambda left, right: less(right, left),
    "ge": lambda left, right: not less(left, right),
    "index": _index,
    "len": _len,
    "slice": _slice,
    "print": _print,
    "println": lambda *values: " ".join(map(shown, values)) + "\n",
    "printf": _printf,
    "html": _html,
    "urlquery": lambda *values: quote_plus(_print(*values)),
    "json": encoded,
    "join": _join,
    "split": lambda text, separator: _text(text).split(separator) if separator else list(_text(text)),
    "lower": lambda text: _text(text).lower(),
    "upper": lambda text: _text(text).upper(),
    "title": lambda text: re.sub(r"(?<!\w)\w", lambda found: found.group().upper(), _text(text)),
    "pad": lambda text, prefix, suffix: _pad(_text(text), prefix, suffix),
    "truncate": lambda text, length: _text(text)[:length],
}
"""``and`` and ``or`` are not here: they do not evaluate what they need not (parse.py)."""

HEADER_FUNCTIONS: dict[str, Function] = {
    **FUNCTIONS,
    **dict.fromkeys(
        ("json", "split", "join", "title", "lower", "upper", "truncate"), lambda text, *_rest: text
    ),
}
"""For the header line of a table made by a template: a column's name stays as it is."""
