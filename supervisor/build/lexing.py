"""The lines of a Dockerfile: directives, comments, continued lines, flags, here-documents (parser.go of BuildKit)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pysup.supervisor.build.errors import bad
from pysup.supervisor.build.words import BadWord, Lexer

LARGEST = 1 << 20
"""Characters of a Dockerfile."""
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_DIRECTIVES = frozenset({"escape", "syntax", "check"})
_HEREDOC = re.compile(r"(\d*)<<(-?)\s*([^<>();&|]+)(?:[>;&|].*)?")
"""``1 << 2`` of a shell's arithmetic mostly has a bracket behind it."""
_WITH_HEREDOCS = frozenset({"ADD", "COPY", "RUN"})
_SPACES = re.compile(r"[ \t\v\f\r]+")


class Heredoc(NamedTuple):
    """``<<NAME`` and the lines up to NAME."""

    name: str
    content: str = ""
    tabs: bool = False
    """``<<-``: tabs at the begin of its lines are not meant."""
    expand: bool = True
    """Variables in it are replaced: its name was not quoted."""

    @property
    def text(self) -> str:
        """As a file of its own has it."""
        return re.sub(r"(?m)^\t+", "", self.content) if self.tabs else self.content


class Line(NamedTuple):
    """One instruction, its continued lines joined."""

    number: int
    """Of its first line, from 1."""
    keyword: str
    """In capitals."""
    flags: tuple[str, ...]
    """``--name=value``, unquoted."""
    rest: str
    """What comes behind keyword and flags, without spaces around it."""
    text: str
    """All of it, as written."""
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A whole file."""

    lines: tuple[Line, ...]
    lexer: Lexer
    warnings: tuple[str, ...] = ()


def read(text: str) -> Dockerfile:
    """Read a Dockerfile. Raises BadDockerfile."""
    if len(text) > LARGEST:
        raise bad(1, f"it has more than {LARGEST} characters")
    reader = _Reader(text.removeprefix("\ufeff"))
    lines = tuple(reader.lines())
    if not lines:
        raise bad(max(1, reader.number), "file with no instructions")
    return Dockerfile(lines, Lexer(reader.escape), tuple(reader.warnings))


def read_line(text: str, lexer: Lexer, number: int = 1) -> Line:
    """One instruction by itself, as ONBUILD and --change have them; here-documents may follow in further lines."""
    reader = _Reader(text, lexer.escape)
    lines = list(reader.lines())
    if len(lines) != 1:
        raise bad(number, "it should be a single instruction" if lines else "file with no instructions")
    return lines[0]._replace(number=number)


class _Reader:
    def __init__(self, text: str, escape: str = "\\") -> None:
        self._lines = iter(text.split("\n"))
        self.number = 0
        """Of the last line that was read."""
        self.escape = escape
        self.warnings: list[str] = []

    def _next(self) -> str | None:
        line = next(self._lines, None)
        self.number += line is not None
        return line

    def lines(self) -> Iterator[Line]:
        """Every instruction."""
        line = self._directives()
        while line is not None:
            line = line.rstrip("\r").lstrip()
            if line and not line.startswith("#"):
                number = self.number
                if whole := self._joined(line):
                    yield self._instruction(whole, number)
            line = self._next()

    def _directives(self) -> str | None:
        """The first line that is none."""
        seen: set[str] = set()
        while (line := self._next()) is not None:
            found = _DIRECTIVE.fullmatch(line.strip())
            name = found.group(1).lower() if found else ""
            if found is None or name not in _DIRECTIVES:
                return line
            if name in seen:
                raise bad(self.number, f"only one {name} parser directive can be used")
            seen.add(name)
            if name == "escape":
                self.escape = self._escape(found.group(2))
        return None

    def _escape(self, value: str) -> str:
        if value not in {"\\", "`"}:
            raise bad(self.number, f"invalid escape token {value[:16]!r}: it is ` or \\")
        return value

    def _continued(self, line: str) -> tuple[str, bool]:
        """Without the sign at its end that says that it goes on; a sign behind another one says nothing."""
        bare = line.rstrip(" \t")
        if bare.endswith(self.escape) and not bare.endswith(self.escape * 2):
            return bare[:-1], True
        return line, False

    def _joined(self, line: str) -> str:
        number, empty = self.number, False
        first, goes_on = self._continued(line)
        parts = [first]
        while goes_on and (further := self._next()) is not None:
            further = further.rstrip("\r")
            if not further.strip():
                empty = True
            elif not further.lstrip().startswith("#"):
                more, goes_on = self._continued(further)
                parts.append(more)
        whole = "".join(parts)
        if empty:
            self.warnings.append(f"Empty continuation line found in line {number}: {whole[:100]}")
        return whole.strip()

    def _instruction(self, whole: str, number: int) -> Line:
        keyword, *behind = _SPACES.split(whole, maxsplit=1)
        flags, rest = split_flags("".join(behind), self.escape)
        keyword = keyword.upper()
        heredocs = tuple(self._heredocs(keyword, rest, number))
        return Line(number, keyword, flags, rest.strip(), whole, heredocs)

    # -- here-documents --------------------------------------------------------------------------------------

    def _heredocs(self, keyword: str, rest: str, number: int) -> Iterator[Heredoc]:
        words = rest.split(None, 1)
        if keyword == "ONBUILD" and words:
            keyword, rest = words[0].upper(), words[1] if len(words) > 1 else ""
        if keyword not in _WITH_HEREDOCS or rest.startswith("[") or "<<" not in rest:
            return
        for announced in heredocs_of(rest):
            yield announced._replace(content=self._content(announced, number))

    def _content(self, announced: Heredoc, number: int) -> str:
        content: list[str] = []
        while (line := self._next()) is not None:
            end = line.rstrip("\r")
            if (end.lstrip("\t") if announced.tabs else end) == announced.name:
                return "".join(content)
            content.append(line + "\n")
        raise bad(number, "unterminated heredoc")


def heredocs_of(rest: str) -> list[Heredoc]:
    """Those that a line announces, without their content."""
    raw = Lexer(raw=True)
    try:
        words = raw.split(rest.replace("<< ", "<<"), {})
    except BadWord:
        return []
    return [found for word in words if (found := heredoc_of(word)) is not None]


def heredoc_of(word: str) -> Heredoc | None:
    """``<<NAME``, ``<<-NAME``, ``<<"NAME"``; None for any other word."""
    match = _HEREDOC.fullmatch(word)
    if match is None or not match.group(3):
        return None
    quoted = match.group(3)
    try:
        names = Lexer().split(quoted, {})
    except BadWord:
        return None
    return Heredoc(names[0], "", match.group(2) == "-", names[0] == quoted) if len(names) == 1 else None


# -- flags ---------------------------------------------------------------------------------------------------


def split_flags(rest: str, escape: str) -> tuple[tuple[str, ...], str]:
    """The words at the begin that start with ``--``, unquoted, and what comes behind them."""
    flags: list[str] = []
    while (rest := rest.lstrip()).startswith("--"):
        word, rest = _unquoted_word(rest, escape)
        if word == "--":
            break
        flags.append(word)
    return tuple(flags), rest


def _unquoted_word(text: str, escape: str) -> tuple[str, str]:
    """The first word, and the rest."""
    word: list[str] = []
    quote, signs = "", iter(enumerate(text))
    for at, sign in signs:
        if quote and sign == quote:
            quote = ""
        elif not quote and sign.isspace():
            return "".join(word), text[at:]
        elif not quote and sign in "'\"":
            quote = sign
        else:
            word.append(next(signs, (at, ""))[1] if sign == escape else sign)
    return "".join(word), ""


def split_words(rest: str, escape: str) -> list[str]:
    """Words with their quotes, which the expansion takes away (parseWords of line_parsers.go)."""
    words: list[list[str]] = [[]]
    quote, signs = "", iter(rest)
    for sign in signs:
        if not quote and sign.isspace():
            words.append([])
        elif sign == escape and quote != "'":
            words[-1] += [sign, next(signs, "")]
        else:
            quote = ("" if sign == quote else quote) if quote else (sign if sign in "'\"" else "")
            words[-1].append(sign)
    return ["".join(word) for word in words if word]
