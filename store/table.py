"""From columns to row dataclasses and back: the little that all tables share. No object mapper, no magic.

Table and column names come from this package's own dataclasses, never from a caller's data; values are bound.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

if TYPE_CHECKING:
    from dataclasses import Field
    from typing import Protocol

    class IsDataclass(Protocol):
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


Row = TypeVar("Row", bound="IsDataclass")


class Table(Generic[Row]):
    """One table and the dataclass of its rows; the fields are the columns, in any order."""

    def __init__(
        self, name: str, row: type[Row], decode: Mapping[str, Callable[[Any], Any]] | None = None
    ) -> None:
        self.name = name
        self.columns = tuple(field.name for field in fields(row))
        self._row = row
        self._decode = [(self.columns.index(column), read) for column, read in (decode or {}).items()]
        self._statements: dict[tuple[str, ...], str] = {}
        self._select = f"SELECT {', '.join(self.columns)} FROM {name} "  # noqa: S608 - our own names

    def one(self, conn: Connection, rest: str, *values: object) -> Row | None:
        """The first row of ``SELECT … rest``, or None."""
        found = conn.execute(self._select + rest, values).fetchone()
        return None if found is None else self._made(found)

    def many(self, conn: Connection, rest: str, *values: object) -> list[Row]:
        """All rows of ``SELECT … rest``."""
        return [self._made(found) for found in conn.execute(self._select + rest, values)]

    def insert(self, conn: Connection, **columns: object) -> int:
        """Insert one row; columns not given take their defaults. Returns the rowid, if the table has one."""
        key = ("INSERT", *columns)
        sql = self._statements.get(key) or self._prepared(key, self._insertion(columns))
        return conn.execute(sql, [encode(value) for value in columns.values()]).lastrowid or 0

    def update(
        self, conn: Connection, where: str, values: tuple[object, ...], columns: Mapping[str, object]
    ) -> int:
        """Set columns of the rows ``WHERE where``; returns how many rows (0 if no column is given)."""
        if not columns:
            return 0
        key = (where, *columns)
        sql = self._statements.get(key) or self._prepared(key, self._change(where, columns))
        return conn.execute(sql, [*map(encode, columns.values()), *values]).rowcount

    def changed(self, row: Row, columns: Mapping[str, object]) -> Row:
        """The row as update() with these columns leaves it, without a look into the file."""
        values = {name: encode(value) for name, value in columns.items()}
        for at, read in self._decode:
            if (name := self.columns[at]) in values:
                values[name] = read(values[name])
        return replace(row, **values)

    def _prepared(self, key: tuple[str, ...], sql: str) -> str:
        """The code that calls names few sets of columns."""
        self._statements[key] = sql
        return sql

    def _insertion(self, columns: Mapping[str, object]) -> str:
        self._check(columns)
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        return f"INSERT INTO {self.name} ({names}) VALUES ({marks})"  # noqa: S608 - our own names

    def _change(self, where: str, columns: Mapping[str, object]) -> str:
        self._check(columns)
        changes = ", ".join(f"{name} = ?" for name in columns)
        return f"UPDATE {self.name} SET {changes} WHERE {where}"  # noqa: S608 - our own names

    def _made(self, values: tuple[Any, ...]) -> Row:
        if not self._decode:
            return self._row(*values)
        changed = list(values)
        for at, read in self._decode:
            changed[at] = read(changed[at])
        return self._row(*changed)

    def _check(self, columns: Mapping[str, object]) -> None:
        for name in columns:
            if name not in self.columns:
                raise TypeError(f"table {self.name} has no column {name}")


def encode(value: object) -> object:
    """A value as SQLite takes it: mappings and sequences become JSON text, what SQLite knows stays."""
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return value


def decode_numbers(text: str) -> tuple[float, ...]:
    """A JSON array of numbers."""
    return tuple(json.loads(text)) if text != "[]" else ()


def decode_words(text: str) -> tuple[str, ...]:
    """A JSON array of strings."""
    return tuple(json.loads(text))
