"""``pysup top``: the processes of a container, as ps(1) shows them."""

from __future__ import annotations

from collections.abc import Sequence

from pysup.supervisor.cli.connection import connect, path
from pysup.supervisor.cli.flags import Syntax
from pysup.supervisor.cli.output import shown
from pysup.supervisor.cli.output.table import align

_CELL = 20

TOP = Syntax(
    "top",
    "CONTAINER [ps OPTIONS]",
    "Display the running processes of a container",
    (),
    1,
    None,
    interspersed=False,
)


def top(argv: Sequence[str]) -> int:
    """``pysup top``."""
    name, *options = TOP.parse(argv).words
    query = {"ps_args": " ".join(options)} if options else None
    answer = connect().get(path(name, "top"), query=query)
    shown.write(align([answer["Titles"], *answer["Processes"]], _CELL))
    return 0
