"""Reading an untrusted JSON object field by field: the right type, or an error that names the field.

null, "", 0, false, [] and {} all mean "not given", as in Go, where docker's clients come from. Every error is
complete: ``cannot create container: HostConfig.Memory must be an integer, not "1g"``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pysup.supervisor.errors import BadRequest, NotSupported

Json = dict[str, Any]

_INT64 = 1 << 63
_MOST_SECONDS = 1 << 31
"""68 years: what is so far from now is still a time that a row can hold, nanoseconds in 64 bits."""
_SHOWN = 80


class Fields:
    """One JSON object, what is being done with it (``create container``), and where in the body it stands."""

    def __init__(self, verb: str, data: object, where: str = "") -> None:
        self.verb = verb
        self.where = where
        if data is None:
            data = {}
        if not isinstance(data, (dict, Mapping)):  # a dict is told at once, an abstract class takes its time
            raise self.bad(f"{where or 'the body'} must be an object, not {_shown(data)}")
        self._data: Mapping[str, Any] = data

    # -- saying no -------------------------------------------------------------------------------------------

    def bad(self, cause: str) -> BadRequest:
        """The error to raise for what is wrong in itself."""
        return BadRequest(f"cannot {self.verb}: {cause}")

    def lacking(self, what: str, why: str = "") -> NotSupported:
        """The error to raise for what docker has and pysup has not; ``what`` is docker's flag."""
        return NotSupported(f"cannot {self.verb}: {what} is not supported yet" + (f" ({why})" if why else ""))

    def _wrong(self, key: str, wanted: str, value: object) -> BadRequest:
        return self.bad(f"{self._path(key)} must be {wanted}, not {_shown(value)}")

    def _path(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    # -- looking ---------------------------------------------------------------------------------------------

    def __contains__(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self._data.get(key) is not None

    def has_null(self, key: str) -> bool:
        """Whether the field is there, and null."""
        return key in self._data and self._data[key] is None

    def among(self, known: Mapping[str, object]) -> Iterator[str]:
        """The fields of these names that are there and not null."""
        return (key for key, value in self._data.items() if value is not None and key in known)

    def given(self) -> Iterator[str]:
        """The fields that are given (not empty in Go's sense)."""
        return (str(key) for key, value in self._data.items() if value)

    def __iter__(self) -> Iterator[str]:
        """All fields, given or not."""
        return iter([self._text("a name", name) for name in self._data])

    def raw(self, key: str) -> Any:  # noqa: ANN401 - it is unknown JSON
        """The value as it is."""
        return self._data.get(key)

    # -- reading ---------------------------------------------------------------------------------------------

    def text(self, key: str, default: str = "") -> str:
        """A string."""
        value = self._data.get(key)
        return (self._text(key, value) if value is not None else "") or default

    def flag(self, key: str) -> bool:
        """A boolean."""
        value = self._data.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self._wrong(key, "true or false", value)

    def integer(self, key: str, default: int = 0) -> int:
        """An integer of 64 bits; 0 means the default."""
        value = self._data.get(key)
        return (self._integer(key, value) if value is not None else 0) or default

    def optional_integer(self, key: str) -> int | None:
        """An integer of 64 bits, or None; here 0 is a value."""
        value = self._data.get(key)
        return None if value is None else self._integer(key, value)

    def seconds(self, key: str) -> float | None:
        """A finite number that is not negative, or None."""
        value = self._data.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST_SECONDS:
            raise self._wrong(key, "a number of seconds", value)
        return float(value)

    def size(self, key: str) -> list[int]:
        """A terminal's rows and columns, 16 bits each (ioctl_tty(2)); [0, 0] if it is not there."""
        value = self._data.get(key) or [0, 0]
        numbers = value if isinstance(value, list) else []
        if [type(number) for number in numbers] != [int, int] or not 0 <= min(numbers) <= max(
            numbers
        ) < 1 << 16:
            raise self._wrong(key, "two numbers, rows and columns", value)
        return numbers

    def texts(self, key: str) -> list[str]:
        """A list of strings."""
        return [self._text(key, item) for item in self._list(key)]

    def words(self, key: str) -> list[str] | None:
        """A list of strings, or one string; None if it is not there (docker's strslice)."""
        value = self._data.get(key)
        if value is None:
            return None
        return [self._text(key, value)] if isinstance(value, str) else self.texts(key)

    def mapping(self, key: str) -> dict[str, str]:
        """An object of strings."""
        return {name: self._text(key, value) for name, value in self._object(key).items()}

    def names(self, key: str) -> Json:
        """A set, as Go writes it: an object whose values are all {}."""
        return {name: {} for name in self._object(key)}

    def inner(self, key: str) -> Fields:
        """An object, empty if it is not there."""
        return Fields(self.verb, self._data.get(key), self._path(key))

    def inners(self, key: str) -> list[Fields]:
        """A list of objects."""
        items = enumerate(self._list(key))
        return [Fields(self.verb, item, f"{self._path(key)}[{index}]") for index, item in items]

    # -- one value -------------------------------------------------------------------------------------------

    def _text(self, key: str, value: object) -> str:
        if not isinstance(value, str):
            raise self._wrong(key, "a string", value)
        if "\0" in value:
            raise self.bad(f"{self._path(key)} contains a NUL character")
        if not (value.isascii() or is_unicode(value)):
            raise self.bad(f"{self._path(key)} is not valid Unicode")
        return value

    def _integer(self, key: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not -_INT64 <= value < _INT64:
            raise self._wrong(key, "an integer", value)
        return value

    def _list(self, key: str) -> list[Any]:
        value = self._data.get(key)
        if value is None or value == {}:
            return []
        if not isinstance(value, list):
            raise self._wrong(key, "a list", value)
        return value

    def _object(self, key: str) -> dict[str, Any]:
        value = self._data.get(key)
        if value is None or value == []:
            return {}
        if not isinstance(value, dict):
            raise self._wrong(key, "an object", value)
        return {self._text(key, name): item for name, item in value.items()}


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can encode it: JSON can spell half a surrogate pair, which no argument can hold."""
    if text.isascii():
        return True
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _shown(value: object) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
