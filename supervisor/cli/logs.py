"""``pysup logs``: what a container wrote, also one that is removed (by name, for the retention time)."""

from __future__ import annotations

from collections.abc import Sequence

from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.connection import connect, path
from pysup.supervisor.cli.flags import Flag, Given, Syntax, switch, text
from pysup.supervisor.cli.moment import api_time
from pysup.supervisor.cli.session import write_all

LOGS = Syntax(
    "logs",
    "[OPTIONS] CONTAINER",
    "Fetch the logs of a container",
    (
        Flag(
            "details", kinds.BOOL, "Show extra details provided to logs", lacking="there are no such details"
        ),
        switch("follow", "Follow log output", short="f"),
        text("since", "Show logs since timestamp (2013-01-02T13:23:37Z) or relative (42m)"),
        text("until", "Show logs before a timestamp (2013-01-02T13:23:37Z) or relative (42m)"),
        text("tail", "Number of lines to show from the end of the logs", short="n", default="all"),
        switch("timestamps", "Show timestamps", short="t"),
        switch("stdout", "Only standard output"),
        switch("stderr", "Only standard error"),
    ),
    1,
    1,
)


def logs(argv: Sequence[str]) -> int:
    """``pysup logs``."""
    given = LOGS.parse(argv)
    with connect().stream("GET", path(given.words[0], "logs"), query=_query(given)) as stream:
        for number, data in stream:
            write_all(number, data)
    return 0


def _query(given: Given) -> dict[str, str]:
    both = given.on("stdout") == given.on("stderr")
    query = {
        "stdout": "1" if both or given.on("stdout") else "",
        "stderr": "1" if both or given.on("stderr") else "",
        "follow": "1" if given.on("follow") else "",
        "timestamps": "1" if given.on("timestamps") else "",
        "tail": given.text("tail"),
    }
    for name in ("since", "until"):
        query[name] = api_time(given.text(name)) if given.text(name) else ""
    return {name: value for name, value in query.items() if value}
