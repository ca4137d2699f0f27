"""``?filters=``: docker's two spellings of it, and what the filters of each list mean. Pure.

Source: moby api/types/filters parse.go, daemon/list.go, daemon/events/filter.go, daemon/images/images.go.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.spec import expressions
from pysup.supervisor.spec.timestamps import parse_unix
from pysup.supervisor.spec.units import parse_duration

T = TypeVar("T")

_LONGEST = 64 << 10
_NAME_PATTERN = 128
_MOST_STEPS = 500_000_000
"""Of all patterns on all names of one request."""


class Filters(dict[str, tuple[str, ...]]):
    """Filter name to its values; all helpers say yes if the filter was not given."""

    _steps = 0
    """How many the names took that were looked at so far."""

    def any_of(self, key: str, *candidates: str) -> bool:
        """Whether one of the candidates is among the values."""
        return key not in self or any(value in candidates for value in self[key])

    def begins(self, key: str, *candidates: str) -> bool:
        """Whether one of the values is the beginning of a candidate (ids)."""
        return key not in self or any(one.startswith(value) for value in self[key] for one in candidates)

    def labels(self, labels: Mapping[str, str], key: str = "label") -> bool:
        """Whether every ``name`` or ``name=value`` asked for is there."""
        return all(has_label(labels, wanted) for wanted in self.get(key, ()))

    def name(self, name: str) -> bool:
        """Docker matches names with regular expressions, with and without the leading slash."""
        if "name" not in self:
            return True
        return any(self._search(value, one) for value in self["name"] for one in (name, f"/{name}"))

    def _search(self, pattern: str, name: str) -> bool:
        """A regular expression of a client must not keep the daemon busy: those that could are refused."""
        if len(pattern) > _NAME_PATTERN:
            raise _too_complicated(pattern)
        try:
            compiled = re.compile(pattern)
        except (re.error, OverflowError, RecursionError):
            return pattern in name
        self._steps += expressions.steps(pattern, len(name))
        if self._steps > _MOST_STEPS:
            raise _too_complicated(pattern)
        try:
            expressions.check(pattern, len(name))
        except expressions.TooCostly:
            raise _too_complicated(pattern) from None
        return compiled.search(name) is not None

    def flag(self, key: str) -> bool | None:
        """The one value as true or false; None if it is not there."""
        if key not in self:
            return None
        values = {value.lower() for value in self[key]}
        if values <= {"1", "true"}:
            return True
        if values <= {"0", "false"}:
            return False
        raise bad_value(key, self[key])

    def integers(self, key: str) -> set[int] | None:
        """The values as integers."""
        if key not in self:
            return None
        try:
            return {int(value) for value in self[key]}
        except ValueError:
            raise bad_value(key, self[key]) from None


def _too_complicated(pattern: str) -> BadRequest:
    return BadRequest(f"cannot filter: the name pattern {pattern[:_NAME_PATTERN]!r} is too complicated")


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """``name`` or ``name=value``."""
    name, equals, value = wanted.partition("=")
    return name in labels and (not equals or labels[name] == value)


def bad_value(key: str, values: Iterable[str]) -> BadRequest:
    """The error to raise for a value that a filter cannot have."""
    return BadRequest(f"cannot filter: invalid filter '{key}={','.join(values)}'")


def parse(text: str | None, known: Collection[str]) -> Filters:
    """``{"k":{"v":true}}`` (docker's CLI) or ``{"k":["v"]}`` (docker-py). An unknown filter is an error."""
    if not text:
        return Filters()
    try:
        found = json.loads(text) if len(text) <= _LONGEST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadRequest("cannot filter: invalid filter: it is not a JSON object")
    for key in found:
        if key not in known:
            raise BadRequest(f"cannot filter: invalid filter {key[:64]!r}")
    return Filters({key: _values(key, value) for key, value in found.items()})


def _values(key: str, value: object) -> tuple[str, ...]:
    if isinstance(value, dict):
        return tuple(text for text, chosen in value.items() if chosen)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise BadRequest(
        f"cannot filter: invalid filter {key!r}: its value is neither an object nor a list of strings"
    )


# -- which filters each list has -----------------------------------------------------------------------------

CONTAINERS = frozenset(
    (
        *("ancestor", "before", "exited", "expose", "health", "id", "isolation", "is-task", "label"),
        *("name", "network", "publish", "since", "status", "volume"),
    )
)
EVENTS = frozenset(
    (
        *("config", "container", "daemon", "event", "image", "label", "network", "node", "plugin"),
        *("scope", "secret", "service", "type", "volume"),
    )
)
IMAGES = frozenset(("before", "dangling", "label", "reference", "since", "until"))
NETWORKS = frozenset(("dangling", "driver", "id", "label", "name", "scope", "type"))
VOLUMES = frozenset(("dangling", "driver", "label", "name"))
PRUNE = frozenset(("until", "label", "label!"))
IMAGE_PRUNE = PRUNE | {"dangling"}
BUILD_PRUNE = frozenset(("id", "unused-for", "until"))
VOLUME_PRUNE = frozenset(("all", "label", "label!"))


def until_ns(filters: Filters, now_ns: int) -> int | None:
    """``--filter until=``: a duration before now (``24h``), a unix time, or a date (api/types/time GetTimestamp)."""
    values = filters.get("until", ()) or filters.get("unused-for", ())
    if len(values) > 1:
        raise bad_value("until", values)
    return _moment(values[0], now_ns) if values else None


def _moment(text: str, now_ns: int) -> int:
    if text[-1:] in ("s", "m", "h"):
        return now_ns - int(_read(parse_duration, text) * 10**9)
    if text.replace(".", "", 1).isdigit():
        return _read(parse_unix, text)
    when = _read(datetime.fromisoformat, text)
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()) * 10**9


def _read(read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except (ValueError, OverflowError):
        raise bad_value("until", [text[:64]]) from None


def reference_matches(patterns: Iterable[str], repository: str, tag: str) -> bool:
    """``--filter reference=``: a glob over the familiar name, with or without the tag (Go's path.Match)."""
    names = (repository, f"{repository}:{tag}")
    return any(_path_match(pattern, name) for pattern in patterns for name in names)


def _path_match(pattern: str, name: str) -> bool:
    """A star stops at a slash, so the parts are matched one by one."""
    wanted, parts = pattern.split("/"), name.split("/")
    return len(wanted) == len(parts) and all(map(fnmatch.fnmatchcase, parts, wanted))
