"""Constants as Go writes them: numbers, and the escapes of strings and characters (The Go Programming Language
Specification, "Lexical elements"). Complex numbers are refused.
"""

from __future__ import annotations

import re
from contextlib import suppress

from pysup.supervisor.cli.output.template.values import Malformed

_INTEGER = re.compile(r"0[xX](_?[0-9a-fA-F])+|0[bB](_?[01])+|0[oO]?(_?[0-7])+|0|[1-9](_?\d)*")
_FLOAT = re.compile(r"(\d(_?\d)*)?\.?(\d(_?\d)*)?([eE][-+]?\d(_?\d)*)?")
_NO_OCTAL = re.compile(r"0[\d_]*")
_HEX_FLOAT = re.compile(r"0[xX][_0-9a-fA-F]*\.?[_0-9a-fA-F]*[pP][-+]?\d(_?\d)*")
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))", re.DOTALL
)
_SINGLE = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
}
_INT64 = range(-(1 << 63), 1 << 63)


def number(text: str) -> int | float:
    """An integer or a float. Raises Malformed if it is neither, or too large for Go's int or float64."""
    sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    if _INTEGER.fullmatch(digits):
        return _integer(sign, digits)
    value = _float(digits)
    if value is None:
        raise Malformed(f"illegal number syntax: {text!r}")
    if value == float("inf"):
        raise Malformed(f"number out of range: {text}")
    return -value if sign == "-" else value


def _float(digits: str) -> float | None:
    plain = digits.replace("_", "")
    with suppress(ValueError, OverflowError):
        if _HEX_FLOAT.fullmatch(digits):
            return float.fromhex(plain)
        if _FLOAT.fullmatch(digits) and not _NO_OCTAL.fullmatch(digits):
            return float(plain)
    return None


def _integer(sign: str, digits: str) -> int:
    if digits[0] == "0" and digits.strip("0_")[:1].isdigit():
        digits = "0o" + digits[1:].lstrip("_")  # C's octal, which Go has kept
    value = int(digits.replace("_", ""), 0) * (-1 if sign == "-" else 1)
    if value not in _INT64:
        raise Malformed(f"{sign}{digits} overflows int")
    return value


def unquoted(text: str, quote: str) -> str:
    """What stands between double quotes (or single ones: ``quote``), with its escapes. Raises Malformed."""

    def one(found: re.Match[str]) -> str:
        single, byte, octal, short, long, wrong = found.groups()
        if wrong is not None or (single in ("'", '"') and single != quote):
            raise Malformed(f"malformed constant {text}: unknown escape {found.group()}")
        if single:
            return _SINGLE[single]
        code = int(octal, 8) if octal else int(byte or short or long, 16)
        if code > (0xFF if octal or byte else 0x10FFFF) or 0xD800 <= code < 0xE000:  # noqa: PLR2004 - surrogates
            raise Malformed(f"malformed constant {text}: no character {found.group()}")
        return chr(code)

    return _ESCAPE.sub(one, text[1:-1])


def character(text: str) -> int:
    """A character constant's code point. Raises Malformed unless it is exactly one."""
    found = unquoted(text, "'")
    if len(found) != 1:
        raise Malformed(f"malformed character constant: {text}")
    return ord(found)
