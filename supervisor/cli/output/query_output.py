"""How `pysup query` prints rows: as a table, CSV, a JSON array, or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

Rows = Iterable[Sequence[Any]]
"""Rows of values as SQLite gives them: int, float, str, bytes or None."""


def as_table(titles: Sequence[str], rows: Rows, *, headers: bool) -> Iterator[str]:
    """Aligned columns. Needs all rows before it can print the first."""
    from pysup.supervisor.cli.output.table import align

    body = [[_cell(value) for value in row] for row in rows]
    shown = [[title.upper() for title in titles], *body] if headers else body
    yield align(shown, least=0)


def as_csv(titles: Sequence[str], rows: Rows, *, headers: bool) -> Iterator[str]:
    """RFC 4180, but with bare newlines."""
    import csv
    import io

    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    for row in [titles] if headers else []:
        writer.writerow(row)
    for row in rows:
        writer.writerow([_plain(value) for value in row])
        yield line.getvalue()
        line.seek(0)
        line.truncate()
    yield line.getvalue()


def as_json(titles: Sequence[str], rows: Rows, *, headers: bool) -> Iterator[str]:
    """An array with one object on each line."""
    before = "["
    for row in rows:
        yield before + _object(titles, row)
        before = ",\n "
    yield "[]\n" if before == "[" else "]\n"


def as_lines(titles: Sequence[str], rows: Rows, *, headers: bool) -> Iterator[str]:
    """One JSON object on each line, without an array around them."""
    for row in rows:
        yield _object(titles, row) + "\n"


Format = Callable[..., Iterator[str]]
FORMATS: dict[str, Format] = {"table": as_table, "csv": as_csv, "json": as_json, "nl": as_lines}


def _object(titles: Sequence[str], row: Sequence[Any]) -> str:
    return json.dumps(dict(zip(titles, map(_plain, row), strict=True)), ensure_ascii=False)


def _cell(value: Any) -> str:
    """What a table shows: nothing for NULL, and one line whatever the text."""
    text = "" if value is None else str(_plain(value))
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    # A container's error text may hold anything: a terminal must not obey it.
    return character.encode("unicode_escape").decode()


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
