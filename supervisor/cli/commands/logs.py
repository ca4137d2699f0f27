"""``pysup logs``: what a container wrote, also one that is removed (by name, for the retention time)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pysup.supervisor.cli.again import kept
from pysup.supervisor.cli.connection import Client, connect, path
from pysup.supervisor.cli.flags import Given, Syntax, switch, text
from pysup.supervisor.cli.options.moment import api_time
from pysup.supervisor.cli.sessions.session import write_all
from pysup.supervisor.client.opened import Output

LOGS = Syntax(
    "logs",
    "[OPTIONS] CONTAINER",
    "Fetch the logs of a container",
    (
        switch("details", "Show labels, variables and tag that --log-opt has chosen"),
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
    for number, data in kept(_Reading(connect(), given).begin):
        write_all(number, data)
    return 0


class _Reading:
    """Remembers how far the log was written out."""

    def __init__(self, client: Client, given: Given) -> None:
        self._client = client
        self._where = path(given.words[0], "logs")
        self._query = _query(given) | {"resumable": "1"}

    @contextmanager
    def begin(self) -> Iterator[Iterator[tuple[int, bytes]]]:
        """Read on."""
        with self._client.stream("GET", self._where, query=self._query) as output:
            yield self._noting(output)

    def _noting(self, output: Output) -> Iterator[tuple[int, bytes]]:
        for item in output:
            yield item
            if output.position:
                self._query["resume"] = output.position


def _query(given: Given) -> dict[str, str]:
    both = given.on("stdout") == given.on("stderr")
    query = {
        "stdout": "1" if both or given.on("stdout") else "",
        "stderr": "1" if both or given.on("stderr") else "",
        "follow": "1" if given.on("follow") else "",
        "timestamps": "1" if given.on("timestamps") else "",
        "details": "1" if given.on("details") else "",
        "tail": given.text("tail"),
    }
    for name in ("since", "until"):
        query[name] = api_time(given.text(name)) if given.text(name) else ""
    return {name: value for name, value in query.items() if value}
