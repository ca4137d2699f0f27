"""Tables as docker prints them: Go's text/tabwriter with a least cell width of 10, padding 3, spaces."""

from __future__ import annotations

from collections.abc import Sequence

PADDING = 3
LEAST = 10
"""Docker's least cell width in most tables; ``top`` has 20."""
ID_LENGTH = 12


def align(rows: Sequence[Sequence[str]], least: int = LEAST) -> str:
    """Lines of aligned cells, each with a newline. A row's last cell ends no column: it is never padded."""
    widths: list[int] = []
    lines: list[str] = []
    for at, row in enumerate(rows):
        widths = _widths(rows, at, widths, least)
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append("".join([*cells, *row[-1:]]) + "\n")
    return "".join(lines)


def _widths(rows: Sequence[Sequence[str]], at: int, known: list[int], least: int) -> list[int]:
    """The widths that hold at a row: a column's block lasts while the lines have a cell that ends in it."""
    ended = len(rows[at]) - 1
    kept = known[:ended]
    return kept + [_block(rows, at, column, least) for column in range(len(kept), ended)]


def _block(rows: Sequence[Sequence[str]], at: int, column: int, least: int) -> int:
    width = least
    for row in rows[at:]:
        if len(row) - 1 <= column:
            break
        width = max(width, len(row[column]) + PADDING)
    return width


def split(text: str) -> list[list[str]]:
    """The rows of a text whose cells end in tabs."""
    return [line.split("\t") for line in text.splitlines()]


def shorten(text: str, length: int) -> str:
    """At most ``length`` characters, the last one an ellipsis if something is cut (docker's Ellipsis)."""
    return text if len(text) <= length else text[: length - 1] + "…"


def short_id(identity: str, *, short: bool = True) -> str:
    """Twelve digits of an id, without ``sha256:``."""
    return identity.removeprefix("sha256:")[:ID_LENGTH] if short else identity
