"""What a registry answers to somebody it does not know: WWW-Authenticate (RFC 9110, 11.6.1; RFC 6750, 3). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - of RFC 9110, 5.6.2
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))', re.ASCII | re.DOTALL)
_SCHEME = re.compile(rf"({_TOKEN})(?:[ \t]+|(?=,)|$)", re.ASCII)
_BETWEEN = re.compile(r"[ \t,]*")
_QUOTED = re.compile(r"\\(.)", re.DOTALL)
BEARER, BASIC = "bearer", "basic"


class Challenge(NamedTuple):
    """One way to be let in."""

    scheme: str
    """In lower case."""
    parameters: dict[str, str]
    """Names in lower case."""


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """All challenges of all headers, in their order. What cannot be read ends its header."""
    return [challenge for header in headers for challenge in _parse(header)]


def _parse(header: str) -> list[Challenge]:
    found: list[Challenge] = []
    at = _skip(header, 0)
    while at < len(header):
        parameter = _PARAMETER.match(header, at) if found else None
        scheme = None if parameter else _SCHEME.match(header, at)
        if parameter:
            name, quoted, plain = parameter.groups()
            value = plain if quoted is None else _QUOTED.sub(r"\1", quoted)
            found[-1].parameters.setdefault(name.lower(), value)
        elif scheme:
            found.append(Challenge(scheme[1].lower(), {}))
        match = parameter or scheme
        at = _skip(header, match.end() if match else _next_comma(header, at))
    return found


def _next_comma(header: str, at: int) -> int:
    """What is neither a scheme nor a parameter (a token68) is skipped."""
    comma = header.find(",", at)
    return comma if comma >= 0 else len(header)


def _skip(header: str, at: int) -> int:
    match = _BETWEEN.match(header, at)
    return match.end() if match else at


def chosen(challenges: Sequence[Challenge]) -> Challenge | None:
    """The one to answer: a token before a password; None if there is neither."""
    for scheme in (BEARER, BASIC):
        for challenge in challenges:
            if challenge.scheme == scheme and (scheme == BASIC or challenge.parameters.get("realm")):
                return challenge
    return None


def scopes(challenge: Challenge, own: Sequence[str]) -> list[str]:
    """What a token is asked for: what is needed, and what the registry says that is needed."""
    return list(dict.fromkeys([*own, *challenge.parameters.get("scope", "").split()]))
