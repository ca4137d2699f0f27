"""``pysup diff``: what a container has changed, added and deleted."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pysup.supervisor.cli.connection import connect
from pysup.supervisor.cli.flags import Syntax
from pysup.supervisor.cli.output import shown
from pysup.supervisor.client.core import container_path

DIFF = Syntax(
    "diff", "CONTAINER", "Inspect changes to files or directories on a container's filesystem", (), 1, 1
)
_LETTERS = "CAD"
"""By docker's numbers."""


def diff(argv: Sequence[str]) -> int:
    """``pysup diff``: a letter and a path in each line."""
    (container,) = DIFF.parse(argv).words
    for change in connect().get(container_path(container, "changes")) or []:
        line = f"{_LETTERS[change['Kind']]} {change['Path']}\n"
        if sys.stdout.isatty():
            shown.write(line)
        else:
            sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape"))
    return 0
