"""Views for people: readable names and times, for `pysup query`, sqlite-utils and datasette.

Light: the command line imports it. Each view is documented here; `pysup query --tables` shows it, and a test
compares the README's list with it.
"""

from __future__ import annotations

from typing import NamedTuple


class View(NamedTuple):
    """One view."""

    name: str
    about: str
    sql: str


VIEWS: tuple[View, ...] = ()
