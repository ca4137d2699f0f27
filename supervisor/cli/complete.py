"""What may follow the words typed so far: from the tables of the commands, and from the daemon, if it is there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from pysup.supervisor.cli import catalogue
from pysup.supervisor.cli.flags import Flag, HelpWanted, Syntax
from pysup.supervisor.cli.global_flags import GLOBAL, remember
from pysup.supervisor.errors import PysupError

WITHIN = 2.0
"""Seconds that a daemon gets to answer: somebody has pressed TAB, and waits."""


class Candidate(NamedTuple):
    """One possible word."""

    value: str
    about: str = ""


Candidates = list[Candidate] | None
"""None: a file."""

_RUNNING, _RESTING = ("running", "paused", "restarting"), ("created", "exited")
_STATES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("attach", "exec", "pause", "top"), ("running",)),
    **dict.fromkeys(("kill", "stop"), _RUNNING),
    "start": _RESTING,
    "unpause": ("paused",),
}
"""The states of the containers that a command can do something with; of any state, if it is not here."""
_HOST_OR_PRIVATE = ("host", "private")
_VALUES: dict[str, tuple[str, ...]] = {
    "restart": ("no", "always", "unless-stopped", "on-failure", "on-failure:"),
    "pid": ("host",),
    "uts": ("host",),
    "userns": ("auto", "host", "private"),
    "daemon userns": ("auto", "host"),
    "cgroupns": _HOST_OR_PRIVATE,
    "ipc": ("host", "private", "none", "shareable"),
    "log-format": ("text", "json"),
    "log-driver": ("json-file", "none"),
    "format": ("json", "table"),
    "type": ("container", "image", "volume", "network"),
    "driver": ("local", "bridge", "macvlan", "ipvlan"),
    "volume-driver": ("local",),
    "attach": ("stdin", "stdout", "stderr"),
    "pull": ("always", "missing", "never"),
    "signal": ("HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP", "WINCH"),
    "stop-signal": ("HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "WINCH"),
}
"""By flag, or where a command takes others than the rest: by both."""
_CONTAINER = "container:"
_JOINING = frozenset(("cgroupns", "ipc", "net", "network", "pid", "userns", "uts"))
"""Flags that may name a container whose namespace is joined."""
_FILES = frozenset(
    ("cidfile", "env-file", "label-file", "rootfs", "root", "run", "secret-key", "socket", "volume", "param")
)


def candidates(words: Sequence[str]) -> Candidates:
    """What the last word may become; the others are complete."""
    *before, typed = words
    place = place_of(GLOBAL, before)
    if place.awaiting is not None or (typed.startswith("-") and not place.words):
        return _flag_or_value(GLOBAL, place, typed)
    try:
        remember(GLOBAL.parse(before))
    except (PysupError, HelpWanted):
        return []
    return _of_commands(place.words, typed)


# -- places --------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where in a command line somebody is."""

    words: list[str]
    """Those that are not flags."""
    awaiting: Flag | None
    """The flag whose value comes next."""
    flags_are_over: bool


def place_of(syntax: Syntax, before: Sequence[str]) -> Place:
    """Behind these words (as flags.py reads them, but nothing is an error)."""
    words: list[str] = []
    rest = iter(before)
    for word in rest:
        if word == "--":
            return Place([*words, *rest], None, flags_are_over=True)
        if word.startswith("-") and word != "-":
            flag = _wanting(syntax, word)
            if flag is not None and next(rest, None) is None:
                return Place(words, flag, flags_are_over=False)
            continue
        words.append(word)
        if not syntax.interspersed:
            return Place([*words, *rest], None, flags_are_over=True)
    return Place(words, None, flags_are_over=False)


def _wanting(syntax: Syntax, word: str) -> Flag | None:
    """The flag of a word like ``--name``, ``-n`` or ``-itn`` that takes the next word for its value."""
    if word.startswith("--"):
        flag = next((flag for flag in syntax.flags if flag.name == word[2:]), None)
        return flag if flag is not None and flag.kind.bare is None else None
    by_short = {flag.short: flag for flag in syntax.flags if flag.short}
    for at, letter in enumerate(word[1:], 2):
        flag = by_short.get(letter)
        if flag is None or flag.kind.bare is None:
            return flag if at == len(word) else None
    return None


# -- what fits there -----------------------------------------------------------------------------------------


def _of_commands(words: Sequence[str], typed: str) -> Candidates:
    commands: Mapping[str, catalogue.Entry] = catalogue.COMMANDS
    if words and words[0] in catalogue.GROUPS:
        commands, words = catalogue.GROUPS[words[0]][1], words[1:]
        groups: list[Candidate] = []
    else:
        groups = [Candidate(name, about) for name, (about, _) in catalogue.GROUPS.items()]
    if not words:
        named = [Candidate(name, entry.summary) for name, entry in commands.items() if not entry.alias]
        return _beginning(typed, sorted(named + groups))
    if words[0] not in commands:
        return []
    syntax = _syntax_of(commands[words[0]])
    place = place_of(syntax, words[1:])
    if place.awaiting is not None or (typed.startswith("-") and not place.flags_are_over):
        return _flag_or_value(syntax, place, typed)
    return _of_word(syntax, place.words, typed)


def _syntax_of(entry: catalogue.Entry) -> Syntax:
    command = catalogue.load(entry.target)
    found = getattr(sys.modules[command.__module__], command.__name__.upper())
    assert isinstance(found, Syntax)  # noqa: S101 - a test holds every command to it
    return found


def _flag_or_value(syntax: Syntax, place: Place, typed: str) -> Candidates:
    if place.awaiting is not None:
        return _values(syntax, place.awaiting, typed)
    name, equals, value = typed.partition("=")
    if equals:
        flag = next((flag for flag in syntax.flags if f"--{flag.name}" == name), None)
        found = _values(syntax, flag, value) if flag is not None else []
        return None if found is None else [Candidate(f"{name}={value}", about) for value, about in found]
    shown = [flag for flag in syntax.flags if not flag.hidden and not flag.lacking]
    longer = [Candidate(f"--{flag.name}", flag.usage) for flag in shown]
    short = [Candidate(f"-{flag.short}", flag.usage) for flag in shown if flag.short]
    help_ = Candidate("--help", "Show what the command does")
    return _beginning(typed, [*sorted([*longer, help_]), *([] if typed.startswith("--") else sorted(short))])


def _values(syntax: Syntax, flag: Flag, typed: str) -> Candidates:
    if flag.name in _FILES:
        return None
    if flag.name == "secret":
        return _beginning(typed, _asked(_secrets))
    if flag.name in _JOINING and syntax.name in ("create", "run") and typed.startswith(_CONTAINER):
        running = _asked(lambda: _containers(_RUNNING))
        return _beginning(typed, [Candidate(_CONTAINER + name, about) for name, about in running])
    if flag.name in ("network", "net"):
        return _beginning(typed, _asked(_networks) or [Candidate("none"), Candidate("host")])
    known = _VALUES.get(f"{syntax.name} {flag.name}") or _VALUES.get(
        flag.name, ("true", "false") if flag.kind.bare is not None else ()
    )
    return _beginning(typed, map(Candidate, known))


def _of_word(syntax: Syntax, before: Sequence[str], typed: str) -> Candidates:
    """By the name that the usage text gives to the word."""
    names = syntax.words.removeprefix("[OPTIONS]").split()
    if len(before) >= len(names) and not (names and names[-1].rstrip("]").endswith("...")):
        return []
    name = names[min(len(before), len(names) - 1)].strip("[].")
    if name.startswith("FILE"):
        return None
    if name.islower():
        return _beginning(typed, map(Candidate, name.split("|")))
    found: list[Candidate] = []
    if name in ("CONTAINER", "NAME|ID"):
        found += _asked(lambda: _containers(_STATES.get(syntax.name, ())))
    if name in ("VOLUME", "NAME|ID") and syntax.name != "volume create":
        found += _asked(_volumes)
    if name == "SECRET" and syntax.name != "secret create":
        found += _asked(_secrets)
    if name in ("NETWORK", "NAME|ID") and syntax.name != "network create":
        found += _asked(_networks)
    if name.startswith(("IMAGE", "SOURCE_IMAGE", "REPOSITORY", "NAME|ID", "NAME[:TAG]")):
        found += _asked(_images)
    return _beginning(typed, [each for each in found if each.value not in before])


def _beginning(typed: str, every: Iterable[Candidate]) -> list[Candidate]:
    return [each for each in every if each.value.startswith(typed)]


# -- the daemon ----------------------------------------------------------------------------------------------


def _asked(ask: Callable[[], list[Candidate]]) -> list[Candidate]:
    """Nothing, if the daemon does not answer: there is no good place to say so."""
    import socket

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(WITHIN)
    try:
        return ask()
    except PysupError:
        return []
    finally:
        socket.setdefaulttimeout(before)


def _containers(states: Iterable[str]) -> list[Candidate]:
    from pysup.supervisor.cli.connection import connect

    query = {"all": "1"} | ({"filters": json.dumps({"status": list(states)})} if states else {})
    rows = connect().get("/containers/json", query=query)
    return sorted(Candidate(row["Names"][0].removeprefix("/"), _line(row["Status"])) for row in rows)


def _images() -> list[Candidate]:
    from pysup.supervisor.cli.connection import connect

    tags = [tag for row in connect().get("/images/json") for tag in row.get("RepoTags") or []]
    return sorted(Candidate(_line(tag.removesuffix(":latest"))) for tag in tags)


def _volumes() -> list[Candidate]:
    from pysup.supervisor.cli.connection import connect

    return sorted(Candidate(row["Name"]) for row in connect().get("/volumes")["Volumes"] or [])


def _secrets() -> list[Candidate]:
    from pysup.supervisor.cli.connection import connect

    return sorted(Candidate(row["Name"]) for row in connect().get("/pysup/secrets"))


def _networks() -> list[Candidate]:
    from pysup.supervisor.cli.connection import connect

    return sorted(Candidate(row["Name"], _line(row["Driver"])) for row in connect().get("/networks"))


def _line(text: str) -> str:
    return " ".join(text.split())
