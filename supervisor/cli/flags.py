"""Flags as docker parses them (github.com/spf13/pflag), declared as data.

Why not argparse: it cannot do ``--rm=false`` beside a bare ``--rm`` that leaves the next word alone; it
decides by looks whether ``-1`` is a flag; it cannot stop at the first word (``run IMAGE ls -l``) without
swallowing a ``--`` meant for the container; it accepts abbreviations; and its import takes as long as a whole
``pysup ps``. The rules here are pflag's: ``--flag=v``, ``--flag v``, ``-f v``, ``-fv``, ``-f=v``, ``-itd``,
``--`` ends the flags.

The same tables print the help and serve shell completion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.kinds import Kind
from pysup.supervisor.errors import BadRequest, NotSupported

BAD_FLAG = 125
"""Docker's exit code, for every command, when a flag cannot be parsed or is not supported; of run and create also when
what it says is found wrong later."""
BAD_WORDS = 1
"""Docker's exit code when the count of words is wrong, the command is unknown, or what flags say is found wrong later,
alone or together."""


class UsageError(BadRequest):
    """The command line is wrong; ``exit_code`` is what the process ends with.

    None: what the command has for it, BAD_FLAG of run and create (failures.as_run_failure), else BAD_WORDS.
    """

    def __init__(self, text: str, exit_code: int | None = None) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class NotThere(NotSupported):
    """A flag or command of docker's that this command line does not know yet."""

    exit_code = BAD_FLAG


class HelpWanted(Exception):
    """``--help`` was given: instead of the command, ``syntax`` is to be told."""

    def __init__(self, syntax: Syntax) -> None:
        super().__init__(syntax.name)
        self.syntax = syntax


class Flag(NamedTuple):
    """One flag. A kind with ``many`` collects every occurrence in a list."""

    name: str
    kind: Kind
    usage: str
    short: str = ""
    default: Any = None
    lacking: str = ""
    """Not empty: docker has it, pysup not yet; says with what it comes. Using it is an error."""
    hidden: bool = False
    """Parsed but left out of the help (a deprecated spelling)."""

    def initial(self) -> Any:
        """The value when the flag is not given."""
        if self.kind.many:
            return []
        return self.kind.zero if self.default is None else self.default

    @property
    def spelled(self) -> str:
        """``-m, --memory``, as pflag's messages name it."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Given:
    """What one command line says: values by flag name, and the words that are not flags."""

    __slots__ = ("changed", "values", "words")

    def __init__(self, flags: Sequence[Flag]) -> None:
        self.values: dict[str, Any] = {flag.name: flag.initial() for flag in flags}
        self.changed: set[str] = set()
        self.words: list[str] = []

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def on(self, name: str) -> bool:
        """Whether a boolean flag is on."""
        return bool(self.values[name])

    def text(self, name: str) -> str:
        """A string flag; empty if not given."""
        return str(self.values[name])

    def number(self, name: str) -> int:
        """An integer flag (also sizes in bytes)."""
        return int(self.values[name])

    def many(self, name: str) -> list[str]:
        """Every occurrence of a repeatable flag, in order."""
        return list(self.values[name])


class Syntax(NamedTuple):
    """One command's grammar: its flags, and how many words it takes."""

    name: str
    words: str
    """The usage after the name: ``[OPTIONS] CONTAINER [CONTAINER...]``."""
    summary: str
    flags: tuple[Flag, ...] = ()
    least: int = 0
    most: int | None = 0
    """None: any number."""
    interspersed: bool = True
    """Flags may follow words. False: the first word ends the flags (run, create, exec, top)."""

    def parse(self, argv: Sequence[str]) -> Given:
        """What the words say. Raises HelpWanted, UsageError, NotThere."""
        given = _Parser(self).parse(argv)
        self._check_words(given.words)
        return given

    def _check_words(self, words: Sequence[str]) -> None:
        count = len(words)
        if self.least <= count and (self.most is None or count <= self.most):
            return
        self.refuse(f"'pysup {self.name}' {_wanted(self.least, self.most)}", BAD_WORDS)

    def refuse(self, cause: str, exit_code: int = BAD_FLAG) -> NoReturn:
        """Raise the usage error of this command."""
        help_words = " ".join(word for word in ("pysup", self.name, "--help") if word)
        raise UsageError(f"cannot parse the arguments: {cause} (see '{help_words}')", exit_code)


def _wanted(least: int, most: int | None) -> str:
    """Docker's words for a wrong count (cli/required.go)."""
    if most == 0:
        return "accepts no arguments"
    if least == most:
        return f"requires {least} argument{'s' * (least != 1)}"
    if most is None:
        return f"requires at least {least} argument{'s' * (least != 1)}"
    if least == 0:
        return f"requires at most {most} argument{'s' * (most != 1)}"
    return f"requires at least {least} and at most {most} arguments"


class _Parser:
    """The state of one parse: the words still to come."""

    def __init__(self, syntax: Syntax) -> None:
        self.syntax = syntax
        self.given = Given(syntax.flags)
        self.by_name = {flag.name: flag for flag in syntax.flags}
        self.by_short = {flag.short: flag for flag in syntax.flags if flag.short}

    def parse(self, argv: Sequence[str]) -> Given:
        rest = iter(argv)
        for word in rest:
            if word == "--":
                break
            if word.startswith("--"):
                self._long(word[2:], rest)
            elif word.startswith("-") and word != "-":
                self._shorts(word[1:], rest)
            else:
                self.given.words.append(word)
                if not self.syntax.interspersed:
                    break
        self.given.words.extend(rest)
        return self.given

    def _long(self, body: str, rest: Iterator[str]) -> None:
        name, equals, value = body.partition("=")
        if not name or name.startswith("-"):
            self.syntax.refuse(f"bad flag syntax: --{body}")
        flag = self.by_name.get(name)
        if flag is None:
            self._unknown_long(name)
        if equals:
            self._set(flag, value)
        elif flag.kind.bare is not None:
            self._set(flag, flag.kind.bare)
        else:
            self._set(flag, self._next(rest, f"--{name}"))

    def _shorts(self, letters: str, rest: Iterator[str]) -> None:
        for at, letter in enumerate(letters):
            flag = self.by_short.get(letter)
            if flag is None:
                self._unknown_short(letter, letters)
            tail = letters[at + 1 :]
            if len(tail) > 1 and tail.startswith("="):
                return self._set(flag, tail[1:])
            if flag.kind.bare is None:
                return self._set(flag, tail or self._next(rest, f"'{letter}' in -{letters[at:]}"))
            self._set(flag, flag.kind.bare)
        return None

    def _next(self, rest: Iterator[str], where: str) -> str:
        value = next(rest, None)
        if value is None:
            self.syntax.refuse(f"flag needs an argument: {where}")
        return value

    def _set(self, flag: Flag, text: str) -> None:
        try:
            value = flag.kind.read(text)
        except (ValueError, BadRequest) as error:
            self.syntax.refuse(f'invalid argument "{text}" for "{flag.spelled}" flag: {error}')
        if flag.lacking and value != flag.initial():
            raise NotThere(
                f"cannot use 'pysup {self.syntax.name} --{flag.name}': it is not supported yet ({flag.lacking})"
            )
        self.given.changed.add(flag.name)
        if flag.kind.many:
            self.given.values[flag.name].append(value)
        else:
            self.given.values[flag.name] = value

    def _unknown_long(self, name: str) -> NoReturn:
        if name == "help":
            raise HelpWanted(self.syntax)
        self.syntax.refuse(f"unknown flag: --{name}{suggestion(name, self.by_name, '--')}")

    def _unknown_short(self, letter: str, letters: str) -> NoReturn:
        if letter == "h":
            raise HelpWanted(self.syntax)
        self.syntax.refuse(f"unknown shorthand flag: '{letter}' in -{letters}")


def suggestion(wrong: str, known: Sequence[str] | dict[str, Any], prefix: str = "") -> str:
    """``; did you mean "ps"?`` for the nearest known name, or nothing."""
    from difflib import get_close_matches

    near = get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{prefix}{near[0]}"?' if near else ""


def switch(name: str, usage: str, *, short: str = "", default: bool = False) -> Flag:
    """A boolean flag."""
    return Flag(name, kinds.BOOL, usage, short, default)


def text(name: str, usage: str, *, short: str = "", default: str = "") -> Flag:
    """A flag with one string."""
    return Flag(name, kinds.TEXT, usage, short, default)


def number(name: str, usage: str, *, short: str = "", default: int = 0) -> Flag:
    """A flag with one integer."""
    return Flag(name, kinds.INT, usage, short, default)


def many(name: str, usage: str, *, short: str = "", kind: Kind = kinds.LIST) -> Flag:
    """A repeatable flag."""
    return Flag(name, kind, usage, short)


def lacking(name: str, kind: Kind, usage: str, why: str, *, short: str = "", default: Any = None) -> Flag:
    """A flag of docker's that is known and refused."""
    return Flag(name, kind, usage, short, default, lacking=why)


CONTENT_TRUST = lacking(
    "disable-content-trust",
    kinds.BOOL,
    "Skip image verification",
    "pysup verifies no signatures",
    default=True,
)
