"""Floats as Go's strconv, fmt and encoding/json write them."""

from __future__ import annotations

from decimal import Decimal

_DIGITS = 6
"""``%g`` in its shortest form has an exponent from 1e+06 on, as C's default precision has; ``%#g`` fills up to it."""


def shortest(value: float) -> str:
    """``%v`` and ``%g``: the fewest digits that give the same float."""
    exact = Decimal(repr(value))
    exponent = exact.adjusted() if value else 0
    if -5 < exponent < _DIGITS:  # noqa: PLR2004 - C's bound for %g
        return _plain(exact)
    return _scientific(exact)


def in_json(value: float) -> str:
    """As encoding/json has it: an exponent below 1e-6 and from 1e21 on, as in JavaScript."""
    exact = Decimal(repr(value))
    if value and not 1e-6 <= abs(value) < 1e21:  # noqa: PLR2004
        return _scientific(exact).replace("e-0", "e-")
    return _plain(exact)


def written(value: float, letter: str, precision: int | None, *, sharp: bool) -> str:
    """One of the verbs e E f F g G, without width and sign."""
    small = letter.lower()
    if small == "g" and precision is None:
        made = shortest(value)
    else:
        made = f"%.{_DIGITS if precision is None else precision}{small}" % value
    if sharp:
        made = _filled(made, _DIGITS if precision is None else precision, digits=small == "g")
    return made.upper() if letter.isupper() else made


def _plain(exact: Decimal) -> str:
    made = format(exact, "f")
    return made.rstrip("0").rstrip(".") if "." in made else made


def _scientific(exact: Decimal) -> str:
    sign, digits, _ = exact.as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    exponent = exact.adjusted()
    mantissa = text[0] + (f".{text[1:]}" if text[1:] else "")
    return f"{'-' * sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _filled(made: str, wanted: int, *, digits: bool) -> str:
    """``#``: the point always, and for ``g`` zeros up to the precision."""
    mantissa, e, exponent = made.partition("e")
    mantissa += "" if "." in mantissa else "."
    if digits:
        there = len(mantissa.replace(".", "").lstrip("-0"))
        mantissa += "0" * (max(wanted, 1) - max(there, 1))
    return mantissa + e + exponent
