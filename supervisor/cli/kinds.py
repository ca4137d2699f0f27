"""The kinds of values that flags take: how each is read, and how the help names it.

Reading raises ValueError (or BadRequest) with the cause, in Go's words where docker shows Go's words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """One kind of value."""

    label: str
    """What the help shows after the flag's name; empty for a boolean."""
    read: Callable[[str], Any]
    zero: Any = ""
    many: bool = False
    bare: str | None = None
    """What the flag alone means; None: it needs a value."""


_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def read_bool(text: str) -> bool:
    """Go's strconv.ParseBool."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def read_int(text: str) -> int:
    """A decimal, or 0x, 0o, 0b integer of 64 bits (strconv.ParseInt with base 0)."""
    try:
        value = int(text, 0 if text[:2].lower() in {"0x", "0o", "0b"} else 10)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def read_uint16(text: str) -> int:
    """An integer from 0 to 65535."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if len(text.lstrip("0")) > 5 or int(text) > 0xFFFF:  # noqa: PLR2004
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def read_nano(text: str) -> int:
    """``1.5`` to 1_500_000_000: docker's NanoCpus, exact (opts.ParseCPUs). The daemon refuses what is negative."""
    whole, _, part = text.removeprefix("-").partition(".")
    digits = whole + part
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"failed to parse {text} as a rational number")
    if len(part.rstrip("0")) > 9:  # noqa: PLR2004 - nano is 10^-9
        raise ValueError("value is too precise")
    nano = int(digits) * 10**9 // int(10 ** len(part))
    return -nano if text.startswith("-") else nano


def read_size(text: str) -> int:
    """``512m`` to bytes; -1 stays (unlimited)."""
    from pysup.supervisor.spec.units import parse_size

    return -1 if text == "-1" else parse_size(text)


def read_own_size(text: str) -> int:
    """The same of what cannot be unlimited."""
    from pysup.supervisor.spec.units import parse_size

    return parse_size(text)


def read_duration(text: str) -> float:
    """``1m30s``, or a plain number of seconds, to seconds."""
    from pysup.supervisor.spec.units import parse_duration

    return parse_duration(text)


def read_filter(text: str) -> str:
    """NAME=VALUE, or nothing (opts.FilterOpt)."""
    if text and "=" not in text:
        raise ValueError("bad format of filter (expected name=value)")
    return text


def read_env(text: str) -> str:
    """NAME=VALUE, or NAME, which takes the caller's value (opts.ValidateEnv)."""
    if not text.partition("=")[0]:
        raise ValueError(f"invalid environment variable: {text}")
    return text


def read_label(text: str) -> str:
    """NAME=VALUE, or NAME (opts.ValidateLabel)."""
    if not text.partition("=")[0].strip():
        raise ValueError(f"invalid label '{text}': empty name")
    return text


BOOL = Kind("", read_bool, zero=False, bare="true")
TEXT = Kind("string", str)
INT = Kind("int", read_int, zero=0)
UINT16 = Kind("uint16", read_uint16, zero=0)
NANO = Kind("decimal", read_nano, zero=0)
BYTES = Kind("bytes", read_own_size, zero=0)
SWAP = Kind("bytes", read_size, zero=0)
DURATION = Kind("duration", read_duration, zero=0.0)
LIST = Kind("list", str, many=True)
MAP = Kind("map", str, many=True)
FILTER = Kind("filter", read_filter, many=True)
ENV = Kind("list", read_env, many=True)
LABEL = Kind("list", read_label, many=True)
