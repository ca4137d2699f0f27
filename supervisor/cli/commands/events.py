"""``pysup events``: what happens, as it happens, and what happened before."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pysup.supervisor.cli.again import kept
from pysup.supervisor.cli.connection import Client, connect
from pysup.supervisor.cli.flags import Syntax, text
from pysup.supervisor.cli.options.moment import api_time
from pysup.supervisor.cli.output import shown, timetext
from pysup.supervisor.cli.output.listing import filter_flag, filters, unescaped

EVENTS = Syntax(
    "events",
    "[OPTIONS]",
    "Get real time events from the server",
    (
        filter_flag(),
        text("format", "Format output: 'json', or a Go TEMPLATE such as '{{.Action}}'"),
        text("since", "Show all events created since timestamp"),
        text("until", "Stream events until this timestamp"),
    ),
)


def events(argv: Sequence[str]) -> int:
    """``pysup events``."""
    given = EVENTS.parse(argv)
    show = _renderer(given.text("format"))
    query = {name: api_time(given.text(name)) for name in ("since", "until") if given.text(name)}
    if given.many("filter"):
        query["filters"] = json.dumps(filters(given))
    for event in kept(_Watching(connect(), query).begin):
        shown.write(f"{show(event)}\n")
        sys.stdout.flush()
    return 0


_NO_EVENT: dict[str, Any] = {
    **dict.fromkeys(("status", "id", "from", "Type", "Action", "scope"), ""),
    "Actor": {"ID": "", "Attributes": {}},
    "time": 0,
    "timeNano": 0,
}


class _Watching:
    """Remembers the last event that was shown."""

    def __init__(self, client: Client, query: dict[str, str]) -> None:
        self._client = client
        self._query = query | {"resumable": "1"}

    @contextmanager
    def begin(self) -> Iterator[Iterator[Any]]:
        """Watch on."""
        with self._client.lines("/events", query=self._query) as opened:
            self._note(opened.header("pysup-position"))
            yield self._noting(opened.documents())

    def _noting(self, events: Iterator[Any]) -> Iterator[Any]:
        for event in events:
            position = event.pop("Position", "")
            yield event
            self._note(str(position))

    def _note(self, position: str) -> None:
        if position:
            self._query["resume"] = position


def _renderer(form: str) -> Callable[[Any], str]:
    if not form:
        return line
    if form == "json":
        return lambda event: json.dumps(event, separators=(",", ":"), ensure_ascii=False)
    from pysup.supervisor.cli.output.template import Malformed, NoField, Template, TemplateError

    template = Template(unescaped(form)[0])
    try:
        template.render(
            _NO_EVENT
        )  # what no event has is told now, as by docker, and not with the first of them
    except NoField as error:
        raise Malformed(str(error).removeprefix("cannot format: ")) from None
    except TemplateError:  # it may well fit a real one
        return template.render
    return template.render


def line(event: Any) -> str:
    """``2026-11-24T00:04:09.000000000Z container start 4f2a… (image=host, name=web)``."""
    actor = event.get("Actor") or {}
    moment = timetext.rfc3339_nano(event.get("timeNano") or event["time"] * 10**9)
    attributes = ", ".join(
        f"{name}={value}" for name, value in sorted((actor.get("Attributes") or {}).items())
    )
    shown = f"{moment} {event['Type']} {event['Action']} {actor.get('ID', '')}"
    return f"{shown} ({attributes})" if attributes else shown
