"""One call for each thing named, as docker's commands do it.

What fails is said and the next one is tried; the exit code is then 1, as docker's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from pysup.supervisor.cli.connection import Client, connect
from pysup.supervisor.cli.failures import RunFailure
from pysup.supervisor.cli.output import shown
from pysup.supervisor.errors import PysupError

AT_ONCE = 50
"""Calls that are made at a time, as by docker."""

Action = Callable[[Client, str], str | None]
"""Does one of them; gives the line to print, or None."""


def each(names: Sequence[str], action: Action) -> int:
    """Apply to every name; print what it gives; 1 if any failed."""
    client = connect()
    return _told(partial(action, client, name) for name in names)


def each_at_once(names: Sequence[str], action: Action) -> int:
    """The same for what takes its time: side by side, and told in their order."""
    if len(names) == 1:
        return each(names, action)
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(AT_ONCE)
    begun = [pool.submit(lambda name: action(connect(), name), name) for name in names]
    return _told(one.result for one in begun)


def _told(calls: Iterable[Callable[[], str | None]]) -> int:
    failed = 0
    for call in calls:
        try:
            line = call()
        except RunFailure:
            raise
        except PysupError as error:
            failed = 1
            sys.stdout.flush()
            shown.complain(error)
        else:
            if line is not None:
                print(line, flush=True)
    return failed
