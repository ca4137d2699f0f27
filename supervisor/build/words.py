"""Words of a Dockerfile: quotes, escapes and variables, as moby's shell lexer reads them (shell/lex.go).

``${x}``, ``${x:-y}``, ``${x-y}``, ``${x:+y}``, ``${x+y}``, ``${x:?y}``, ``${x?y}``, ``${x#p}``, ``${x##p}``,
``${x%p}``, ``${x%%p}``, ``${x/p/r}`` and ``${x//p/r}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

_SPECIAL = frozenset("@*#?-$!0")
"""Parameters with a name of one sign (POSIX, Special Parameters); a Dockerfile has none of them."""
_NAME = re.compile(r"\d+|\w*")
_SPACE = re.compile(r"\s+")
_DEEPEST = 100
"""Substitutions within each other."""
LONGEST = 1 << 20
"""Signs that a word may become: ``ENV a=$a$a`` doubles with each step."""
_LONGEST_TRIMMED = (LONGEST, 4096, 512)
"""Signs of a value that a pattern with none, one or two ``*`` may be looked for in: that takes a power of them."""


class BadWord(ValueError):
    """A quote or a brace that is not closed, or a substitution that is not known."""


@dataclass(frozen=True, slots=True)
class Lexer:
    """How words are read."""

    escape: str = "\\"
    """What takes the next sign's meaning away: ``\\``, or a back quote by the directive ``escape``."""
    raw: bool = False
    """Leave quotes, escapes and what is not set as they are (to find here-documents)."""

    def expand(self, text: str, env: Mapping[str, str]) -> str:
        """One word. Raises BadWord."""
        return _Reader(self, text, env).read().text

    def split(self, text: str, env: Mapping[str, str]) -> list[str]:
        """Several words; what a variable brings is parted at its spaces. Raises BadWord."""
        return _Reader(self, text, env).read().finished()


class _Words:
    """What was read, as a whole and in words; in pieces, as joining each to the next would take their square."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._words: list[str] = []
        self._word: list[str] = []
        self._size = 0

    def add(self, text: str, *, parted: bool) -> None:
        """Add a piece. Raises BadWord for too much."""
        self._pieces.append(text)
        self._size += len(text)
        if self._size > LONGEST:
            raise BadWord(f"it becomes longer than {LONGEST} signs")
        first, *further = _SPACE.split(text) if parted else [text]
        self._word.append(first)
        for piece in further:
            self._end_word()
            self._word = [piece]

    def _end_word(self) -> None:
        if word := "".join(self._word):
            self._words.append(word)
        self._word = []

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._pieces)

    def finished(self) -> list[str]:
        """The words."""
        self._end_word()
        return self._words


class _Reader:
    """One text, from its beginning to its end."""

    def __init__(self, lexer: Lexer, text: str, env: Mapping[str, str], depth: int = 0) -> None:
        self._lexer = lexer
        self._text = text
        self._env = env
        self._at = 0
        self._depth = depth

    # -- signs -----------------------------------------------------------------------------------------------

    def _peek(self) -> str:
        """The next sign; empty at the end."""
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        sign = self._peek()
        self._at += len(sign)
        return sign

    def _run(self, ordinary: re.Pattern[str]) -> str:
        """As many signs as mean nothing."""
        found = ordinary.match(self._text, self._at)
        run = found.group() if found else ""
        self._at += len(run)
        return run

    # -- words -----------------------------------------------------------------------------------------------

    def read(self, stop: str = "", *, raw_escapes: bool = False) -> _Words:
        """Up to ``stop``, which is passed over, or to the end. Raises BadWord."""
        found = _Words()
        raw_escapes = raw_escapes or self._lexer.raw
        special: dict[str, Callable[[], str]] = {"'": self._single, '"': self._double, "$": self._dollar}
        ordinary = _ordinary("'\"$" + stop + self._lexer.escape)
        while sign := self._peek():
            if sign == stop:
                self._next()
                return found
            if sign in special:
                found.add(special[sign](), parted=sign == "$")
            elif sign == self._lexer.escape:
                self._next()
                found.add(sign * raw_escapes + self._next(), parted=False)
            else:
                found.add(self._run(ordinary), parted=True)
        if stop:
            raise BadWord(f"syntax error: missing {stop!r}")
        return found

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise BadWord("unexpected end of statement while looking for matching single-quote")
        quoted = self._text[self._at : end + 1]
        self._at = end + 1
        return quoted if self._lexer.raw else quoted[1:-1]

    def _double(self) -> str:
        quote = self._next() if self._lexer.raw else self._next()[:0]
        ordinary = _ordinary('"$' + self._lexer.escape)
        found = [quote]
        while (sign := self._peek()) != '"':
            if not sign:
                raise BadWord("unexpected end of statement while looking for matching double-quote")
            if sign == "$":
                found.append(self._dollar())
            else:
                found.append(self._escaped() if sign == self._lexer.escape else self._run(ordinary))
        self._next()
        return "".join([*found, quote])

    def _escaped(self) -> str:
        """In double quotes: what would mean something is taken as it is, anything else keeps its escape."""
        sign = self._next()
        kept = sign * self._lexer.raw
        if self._peek() in {'"', "$", self._lexer.escape}:
            return kept + self._next()
        return sign

    # -- variables -------------------------------------------------------------------------------------------

    def _dollar(self) -> str:
        begin = self._at
        self._next()
        if self._peek() != "{":
            name = self._name()
            value = self._env.get(name, "") if name else "$"
        else:
            self._next()
            name, value = self._braces()
        unset = bool(name) and name not in self._env
        return self._text[begin : self._at] if self._lexer.raw and unset else value

    def _name(self) -> str:
        if self._peek() in _SPECIAL and not self._peek().isdigit():
            return self._next()
        found = _NAME.match(self._text, self._at)
        name = found.group() if found else ""
        self._at += len(name)
        return name

    def _braces(self) -> tuple[str, str]:
        """Behind ``${``: the variable's name, and what the whole gives."""
        if self._depth >= _DEEPEST:
            raise BadWord("syntax error: substitutions are nested too deeply")
        if self._peek() in {"{", "}", ":"}:
            raise BadWord("syntax error: bad substitution")
        name = self._name()
        value = self._env.get(name)
        modifier = self._next()
        if modifier == "}":
            return name, value or ""
        if modifier == "/":
            return name, self._replaced(value or "")
        empty_is_unset = modifier == ":"
        if empty_is_unset:
            modifier = self._next()
            value = value or None
        if modifier in {"-", "+", "?"}:
            return name, self._default(name, modifier, value, empty_is_unset=empty_is_unset)
        if modifier in {"#", "%"} and not empty_is_unset:
            return name, _trimmed(value or "", modifier, self._inner("}", raw_escapes=True))
        if not modifier:
            raise BadWord("syntax error: missing '}'")
        raise BadWord(f"unsupported modifier ({':' * empty_is_unset}{modifier}) in substitution")

    def _inner(self, stop: str, *, raw_escapes: bool = False) -> str:
        self._depth += 1
        text = self.read(stop, raw_escapes=raw_escapes).text
        self._depth -= 1
        return text

    def _default(self, name: str, modifier: str, value: str | None, *, empty_is_unset: bool) -> str:
        word = self._inner("}")
        if modifier == "-":
            return word if value is None else value
        if modifier == "+":
            return "" if value is None else word
        if value is None and not (self._lexer.raw and name not in self._env):
            told = "empty" if empty_is_unset and name in self._env else "unset"
            raise BadWord(f"{name}: {word or f'is not allowed to be {told}'}")
        return value or ""

    def _replaced(self, value: str) -> str:
        everywhere = self._peek() == "/"
        if everywhere:
            self._next()
        pattern = self._inner("/", raw_escapes=True)
        by = self._inner("}", raw_escapes=True)
        _check_cost(pattern, value)
        return re.sub(_pattern(pattern, greedy=True), lambda _found: by, value, count=0 if everywhere else 1)


@lru_cache(maxsize=16)
def _ordinary(special: str) -> re.Pattern[str]:
    return re.compile(f"[^{re.escape(special)}]+")


def _trimmed(value: str, modifier: str, word: str) -> str:
    """Without the shortest beginning (``#``) or end (``%``) that fits; twice the sign: the longest."""
    _check_cost(word, value)
    greedy = word.startswith(modifier)
    pattern = _pattern(word.removeprefix(modifier) if greedy else word, greedy=greedy)
    if modifier == "#":
        return re.sub(rf"\A(?:{pattern})", "", value, count=1)
    places = range(len(value) + 1) if greedy else range(len(value), -1, -1)
    fitting = re.compile(pattern, re.DOTALL)
    return next((value[:at] for at in places if fitting.fullmatch(value, at)), value)


def _check_cost(pattern: str, value: str) -> None:
    loops = pattern.count("*")
    if loops >= len(_LONGEST_TRIMMED) or len(value) > _LONGEST_TRIMMED[loops]:
        raise BadWord(f"the pattern {pattern[:64]!r} cannot be looked for in {len(value)} signs")


def _pattern(shell: str, *, greedy: bool) -> str:
    """``*`` and ``?`` as a regular expression (POSIX, 2.13.1, without brackets)."""
    found, signs = "", iter(shell)
    for sign in signs:
        if sign == "*":
            found += "(?s:.*)" if greedy else "(?s:.*?)"
        elif sign == "?":
            found += "(?s:.)"
        else:
            found += re.escape(next(signs, "") if sign == "\\" else sign)
    return found
