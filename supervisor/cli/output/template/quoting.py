"""Text made safe for another language: Go (strconv.Quote), HTML, JavaScript, JSON."""

from __future__ import annotations

import json
from typing import Any

from pysup.supervisor.cli.output.template.floats import in_json
from pysup.supervisor.cli.output.template.values import Nothing

_GO = {"\a": "a", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", "\v": "v", "\\": "\\"}
_HTML = {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
_BYTE, _SHORT = 0x80, 0x10000


def go(text: str, quote: str = '"', *, ascii_only: bool = False) -> str:
    """A string (or character, ``quote`` "'") of Go; what cannot be printed is escaped."""
    return quote + "".join(_go(one, quote, ascii_only=ascii_only) for one in text) + quote


def _go(one: str, quote: str, *, ascii_only: bool) -> str:
    if one == quote:
        return "\\" + one
    if one in _GO:
        return "\\" + _GO[one]
    if one.isprintable() and (one.isascii() or not ascii_only):
        return one
    code = ord(one)
    if code < _BYTE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < _SHORT else f"\\U{code:08x}"


def raw(text: str) -> str | None:
    """The string between backquotes; None if it cannot be written so."""
    if any(one in "`\x7f\ufeff" or (one < " " and one != "\t") for one in text):
        return None
    return f"`{text}`"


def html(text: str) -> str:
    """html/template's HTMLEscape."""
    return "".join(_HTML.get(one, one) for one in text)


def js(text: str) -> str:
    """text/template's JSEscape."""
    return "".join(_js(one) for one in text)


def _js(one: str) -> str:
    if one in _JS:
        return _JS[one]
    if one < " " or (not one.isascii() and not one.isprintable()):
        return f"\\u{ord(one):04X}"
    return one


class _Encoder(json.JSONEncoder):
    def default(self, o: Any) -> Any:
        return None if isinstance(o, Nothing) else str(o)


def _made(value: Any) -> Any:
    """A listing's row makes its fields here, wherever it stands."""
    if isinstance(value, dict):
        return {key: _made(one) for key, one in value.items()}
    return [_made(one) for one in value] if isinstance(value, list | tuple) else value


def encoded(value: Any) -> str:
    """JSON as Go writes it for docker: compact, HTML not escaped, but what ends a line in JavaScript."""
    if isinstance(value, float):
        return in_json(value)
    made = _Encoder(separators=(",", ":"), ensure_ascii=False).encode(_made(value))
    return made.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
