"""The help texts, in docker's layout. Imported only when somebody asks."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.flags import Flag, Syntax

if TYPE_CHECKING:
    from pysup.supervisor.cli.catalogue import Entry

MIN_USAGE = 24
"""Columns that a flag's text gets at least, however narrow the terminal."""


def width() -> int:
    """Columns to write for: the terminal's, else 80."""
    try:
        return max(40, os.get_terminal_size(sys.stdout.fileno()).columns)
    except (OSError, ValueError):
        return 80


def command_help(syntax: Syntax) -> str:
    """The text of ``pysup COMMAND --help``."""
    parts = [f"Usage:  pysup {syntax.name} {syntax.words}".rstrip(), syntax.summary]
    shown = [flag for flag in syntax.flags if not flag.hidden and not flag.lacking]
    if shown:
        parts.append("Options:\n" + options(shown))
    missing = [f"--{flag.name}" for flag in syntax.flags if flag.lacking and not flag.hidden]
    if missing:
        parts.append("Docker's, not supported yet:\n" + _filled(" ".join(missing), "  "))
    return "\n\n".join(parts)


def options(flags: Iterable[Flag]) -> str:
    """Two columns: the flags in order of name, and their texts wrapped."""
    rows = [(_left(flag), _right(flag)) for flag in sorted(flags, key=lambda flag: flag.name)]
    left = max(len(name) for name, _ in rows) + 3
    room = max(MIN_USAGE, width() - left)
    return "\n".join(_row(name, text, left, room) for name, text in rows)


def _row(name: str, text: str, left: int, room: int) -> str:
    first, *rest = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
    return "\n".join([f"{name:<{left}}{first}".rstrip(), *(" " * left + line for line in rest)])


def _left(flag: Flag) -> str:
    short = f"  -{flag.short}, " if flag.short else "      "
    return f"{short}--{flag.name} {flag.kind.label}".rstrip()


def _right(flag: Flag) -> str:
    if flag.kind.many or flag.default in (None, "", 0, False):
        return flag.usage
    shown = str(flag.default).lower() if flag.kind is kinds.BOOL else flag.default
    return (
        f'{flag.usage} (default "{shown}")' if flag.kind is kinds.TEXT else f"{flag.usage} (default {shown})"
    )


def _filled(text: str, indent: str) -> str:
    return textwrap.fill(
        text,
        width(),
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def table_of(commands: Mapping[str, Entry]) -> str:
    """Names and summaries of commands, aligned."""
    left = max(len(name) for name in commands)
    return "\n".join(
        f"  {name:<{left}}  {entry.summary}" for name, entry in commands.items() if not entry.alias
    )


def group_help(group: str, summary: str, commands: Mapping[str, Entry]) -> str:
    """The text of ``pysup GROUP --help``."""
    return "\n\n".join(
        [
            f"Usage:  pysup {group} COMMAND",
            summary,
            "Commands:\n" + table_of(commands),
            f"Run 'pysup {group} COMMAND --help' for more information on a command.",
        ]
    )


def main_help(syntax: Syntax) -> str:
    """The text of ``pysup --help``."""
    from pysup.supervisor.cli import catalogue

    groups = {name: catalogue.Entry("", summary) for name, (summary, _) in catalogue.GROUPS.items()}
    return "\n\n".join(
        [
            f"Usage:  pysup {syntax.words}",
            syntax.summary,
            "Commands:\n" + table_of(catalogue.COMMANDS),
            "Groups:\n" + table_of(groups),
            "Options:\n" + options(syntax.flags),
            "Run 'pysup COMMAND --help' for more information on a command.",
        ]
    )
