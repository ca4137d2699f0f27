"""Print what strangers have a part in: names of files, labels, commands of images, errors that quote them.

A terminal must not obey them: what is no visible sign is shown as Python writes it (``\\x1b``). What goes into a pipe
or a file stays as it is, for programs; errors do not.
"""

from __future__ import annotations

import sys

_KEPT = "\n\t"


def write(text: str) -> None:
    """On standard output."""
    sys.stdout.write(visible(text) if sys.stdout.isatty() else text)


def complain(error: object, before: str = "pysup: ") -> None:
    """A line on standard error."""
    print(before + visible(str(error)), file=sys.stderr)


def visible(text: str) -> str:
    """Without control characters, and marks that change the direction of what follows."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in _KEPT else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
