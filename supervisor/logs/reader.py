from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    since: int | None = None
    until: int | None = None
    tail: int | None = None
    streams: frozenset = frozenset({1, 2})
    follow: bool = False


@dataclass(frozen=True)
class Entry:
    time_ns: int
    stream: int
    data: bytes
