"""One value as one verb of Go's fmt shows it: ``%v``, ``%-8s``, ``%#x`` (https://pkg.go.dev/fmt)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pysup.supervisor.cli.output.template import quoting
from pysup.supervisor.cli.output.template.floats import shortest, written
from pysup.supervisor.cli.output.template.values import Nothing, TemplateError, kind, numeric

_LAST_RUNE, _REPLACEMENT = 0x10FFFF, "\ufffd"
_BASES = {"d": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X", "v": "d"}
_PREFIXES = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}
_LEAST_OF_U = 4


class Verb(NamedTuple):
    """One directive."""

    letter: str
    flags: str = ""
    width: int | None = None
    precision: int | None = None

    def has(self, flag: str) -> bool:
        """Whether it has one of the flags ``+-# 0``."""
        return flag in self.flags

    @property
    def in_go(self) -> bool:
        """``%#v``: as Go would have it in its source."""
        return self.letter == "v" and self.has("#")

    @property
    def plain(self) -> Verb:
        """Without the signs that mean something else to ``%v``."""
        return self._replace(flags=self.flags.replace("#", "").replace("+", ""))


def shown(value: Any) -> str:
    """What an action prints: ``[a b]``, ``map[k:v]``, ``true``, ``<no value>``."""
    return "<no value>" if value is None else printed(value)


def printed(value: Any) -> str:  # noqa: PLR0911 - one line for each type
    """``%v``, as fmt.Print has it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, Nothing):
        return value.shown
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return shortest(value)
    if isinstance(value, dict | list | tuple):
        return _composite(value, Verb("v"))
    return str(value)


def formatted(value: Any, verb: Verb) -> str:
    """As the verb shows it; one that does not fit the value shows that: ``%!d(string=a)``."""
    if verb.letter == "T":
        return _padded(kind(value), verb)
    if value is None or isinstance(value, Nothing):
        nothing = printed(value)
        return _padded(nothing, verb) if verb.letter == "v" else f"%!{verb.letter}({nothing})"
    if isinstance(value, dict | list | tuple):
        return _composite(value, verb)
    show = _verbs_of(value).get(verb.letter)
    if show is None:
        text = formatted(value, verb._replace(letter="v", flags=verb.flags.replace("#", "")))
        return f"%!{verb.letter}({kind(value)}={text})"
    return show(value, verb)


def _composite(value: Any, verb: Verb) -> str:
    """Every item by the same verb. Of an empty list of Go's nothing is known but that it is one."""
    if verb.letter == "p":
        raise TemplateError("printf: %p has no meaning here")
    opening, closing = (kind(value) + "{", "}") if verb.in_go else ("[", "]")
    between = ", " if verb.in_go else " "
    if isinstance(value, dict):
        items = [f"{formatted(key, verb)}:{_item(value[key], verb)}" for key in sorted(value)]
        opening = opening if verb.in_go else "map["
    else:
        items = [_item(one, verb) for one in value]
    return opening + between.join(items) + closing


def _item(value: Any, verb: Verb) -> str:
    if value is None:
        return "interface {}(nil)" if verb.in_go else "<nil>"
    return formatted(value, verb)


def _padded(text: str, verb: Verb, *, zeros: bool = True) -> str:
    width = verb.width or 0
    if verb.has("-"):
        return text.ljust(width)
    return text.rjust(width, "0" if zeros and verb.has("0") else " ")


# -- strings -------------------------------------------------------------------------------------------------


def _string(value: str, verb: Verb) -> str:
    if verb.in_go:
        return _quoted(value, verb.plain)
    return _padded(value[: verb.precision], verb)


def _quoted(value: str, verb: Verb) -> str:
    value = value[: verb.precision]
    raw = quoting.raw(value) if verb.has("#") else None
    return _padded(raw or quoting.go(value, ascii_only=verb.has("+")), verb)


def _hex(value: str, verb: Verb) -> str:
    pairs = [f"{byte:02x}" for byte in value.encode(errors="surrogateescape")[: verb.precision]]
    prefix = "0x" if verb.has("#") and pairs else ""
    joined = f" {prefix}".join(pairs) if verb.has(" ") else "".join(pairs)
    made = prefix + joined
    return _padded(made.upper() if verb.letter == "X" else made, verb)


# -- numbers -------------------------------------------------------------------------------------------------


def _sign(value: float, verb: Verb) -> str:
    return "-" if value < 0 else "+" if verb.has("+") else " " if verb.has(" ") else ""


def _integer(value: int, verb: Verb) -> str:
    verb = verb.plain if verb.letter == "v" else verb
    digits, sign = format(abs(value), _BASES[verb.letter]), _sign(value, verb)
    if verb.precision is not None:
        digits = "" if verb.precision == 0 and value == 0 else digits.zfill(verb.precision)
    elif verb.has("0") and not verb.has("-"):
        digits = digits.zfill((verb.width or 0) - len(sign))
    prefix = "0o" if verb.letter == "O" else _PREFIXES.get(verb.letter, "") if verb.has("#") else ""
    if prefix == "0" and digits.startswith("0"):
        prefix = ""
    return _padded(sign + prefix + digits, verb, zeros=False)


def _float(value: float, verb: Verb) -> str:
    verb = verb.plain._replace(letter="g") if verb.letter == "v" else verb
    made = written(value, verb.letter, verb.precision, sharp=verb.has("#")).removeprefix("-")
    sign = _sign(value, verb)
    if verb.has("0") and not verb.has("-"):
        return sign + made.rjust((verb.width or 0) - len(sign), "0")
    return _padded(sign + made, verb)


def _bits(_value: float, verb: Verb) -> str:
    raise TemplateError(f"printf: %{verb.letter} of a float is not supported")


def _rune(code: int) -> str:
    return chr(code) if 0 <= code <= _LAST_RUNE else _REPLACEMENT


def _unicode(value: int, verb: Verb) -> str:
    made = "U+" + format(value, "X").zfill(max(_LEAST_OF_U, verb.precision or 0))
    if verb.has("#") and _rune(value).isprintable():
        made += f" '{_rune(value)}'"
    return _padded(made, verb, zeros=False)


_Show = Callable[[Any, Verb], str]

_STRINGS: dict[str, _Show] = {"v": _string, "s": _string, "q": _quoted, "x": _hex, "X": _hex}
_BOOLS: dict[str, _Show] = dict.fromkeys(
    "vt", lambda value, verb: _padded("true" if value else "false", verb)
)
_INTEGERS: dict[str, _Show] = {
    **dict.fromkeys(_BASES, _integer),
    "c": lambda value, verb: _padded(_rune(value), verb),
    "q": lambda value, verb: _padded(quoting.go(_rune(value), "'", ascii_only=verb.has("+")), verb),
    "U": _unicode,
}
_FLOATS: dict[str, _Show] = {**dict.fromkeys("veEfFgG", _float), **dict.fromkeys("bxX", _bits)}


def _verbs_of(value: Any) -> dict[str, _Show]:
    if isinstance(value, str):
        return _STRINGS
    if not numeric(value):
        return _BOOLS
    return _FLOATS if isinstance(value, float) else _INTEGERS
