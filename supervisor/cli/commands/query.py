"""``pysup query``: the store in SQL, read-only, with or without a daemon."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from pysup.store.reading import Reader, Refused
from pysup.supervisor import settings
from pysup.supervisor.cli.flags import Flag, Given, Syntax, UsageError, switch
from pysup.supervisor.cli.kinds import LIST
from pysup.supervisor.cli.output import shown
from pysup.supervisor.cli.output.query_output import FORMATS
from pysup.supervisor.client.core import named_host as host
from pysup.supervisor.errors import PysupError

RUN = Syntax(
    "query",
    "[OPTIONS] [SQL]",
    "Ask pysup's database in SQL, read-only",
    (
        switch("table", "Print aligned columns (the default)"),
        switch("json", "Print a JSON array of objects"),
        switch("csv", "Print CSV"),
        switch("nl", "Print one JSON object on each line"),
        switch("no-headers", "Leave the column names out (table, CSV)"),
        Flag("param", LIST, "Value of :NAME in the statement, as two words: -p NAME VALUE", "p"),
        switch("tables", "List the tables and views, and what they hold"),
        switch("schema", "Print the CREATE statements"),
    ),
    most=1,
)
MISUSE = 2
"""The exit code for a wrong use: docker has no such command, so sqlite-utils' and the shell's convention."""
AT_ONCE = 10_000
"""Rows read before the first is printed: most answers end within, and then no snapshot is held while a pager waits."""
SCHEMA = "SELECT sql || ';' AS sql FROM sqlite_schema WHERE sql IS NOT NULL AND tbl_name NOT LIKE '\\_%' ESCAPE '\\'"
OBJECTS = "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY type, name"


def run(argv: Sequence[str]) -> int:
    """Answer one question."""
    try:
        given = RUN.parse(_joined(argv))
        shape = _shape(given)
    except UsageError as error:
        raise UsageError(str(error), MISUSE) from None
    if (where := host()).startswith("tcp:"):
        raise PysupError(
            f"cannot query the daemon at {where}: its database is a file; run pysup query on its machine"
        )
    path = settings.from_environment().database
    try:
        _answer(given, shape, Reader(path))
    except FileNotFoundError as error:
        raise PysupError(
            f"cannot query {path}: {error.strerror} (no daemon has run with this root)"
        ) from error
    except BrokenPipeError:
        raise
    except (OSError, sqlite3.Error, Refused) as error:
        raise PysupError(f"cannot query {path}: {_cause(error)}") from error
    return 0


def _joined(argv: Sequence[str]) -> list[str]:
    """``-p NAME VALUE`` as one word: a flag of two words is more than the grammar knows."""
    words: list[str] = []
    rest = iter(argv)
    for word in rest:
        if word == "--":
            return [*words, word, *rest]
        if word not in {"-p", "--param"}:
            words.append(word)
            continue
        name, value = next(rest, None), next(rest, None)
        if name is None or value is None:
            RUN.refuse(f"flag needs two arguments: {word} NAME VALUE")
        words.append(f"--param={name}={value}")
    return words


def _shape(given: Given) -> str:
    """The format asked for; also checks that there is one question."""
    shapes = [name for name in FORMATS if given.on(name)]
    if len(shapes) > 1:
        RUN.refuse(f"--{shapes[0]} and --{shapes[1]} exclude each other")
    if len(given.words) + given.on("tables") + given.on("schema") != 1:
        RUN.refuse("one of SQL, --tables and --schema is needed")
    return shapes[0] if shapes else "table"


def _answer(given: Given, shape: str, reader: Reader) -> None:
    if reader.behind:
        sys.stdout.flush()
        print(
            "pysup: the last changes are left out: the write-ahead log cannot be read here", file=sys.stderr
        )
    if given.on("schema"):
        for (sql,) in reader.select(SCHEMA).fetchall():
            print(sql)
        return
    titles, rows = _tables(reader) if given.on("tables") else _rows(reader, given)
    for text in FORMATS[shape](titles, rows, headers=not given.on("no-headers")):
        shown.write(text)


def _rows(reader: Reader, given: Given) -> tuple[list[str], Iterable[Sequence[Any]]]:
    values = dict(text.split("=", 1) for text in given.many("param"))
    cursor = reader.select(given.words[0], values)
    titles = [column[0] for column in cursor.description or ()]
    first = cursor.fetchmany(AT_ONCE)
    if len(first) < AT_ONCE:
        reader.close()
        return titles, first
    return titles, chain(first, cursor)


def _tables(reader: Reader) -> tuple[list[str], Iterable[Sequence[Any]]]:
    from pysup.store.tables import TABLES
    from pysup.store.views import VIEWS

    about = TABLES | {view.name: view.about for view in VIEWS}
    found = reader.select(OBJECTS).fetchall()
    return ["name", "type", "about"], [(name, kind, about[name]) for name, kind in found if name in about]


def _cause(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_INTERRUPT:
        raise KeyboardInterrupt from None
    return str(error)
