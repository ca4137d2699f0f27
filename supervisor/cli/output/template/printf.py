"""fmt.Sprintf, Sprint and Sprintln. What is wrong with a format is shown in its place, as Go does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pysup.supervisor.cli.output.template.values import kind
from pysup.supervisor.cli.output.template.verbs import Verb, formatted, printed

_LARGEST = 1_000_000
"""A width or precision above that is none, and ends the format (fmt's tooLarge)."""


def sprint(*values: Any) -> str:
    """A space between operands when neither is a string."""
    made = ""
    for at, value in enumerate(values):
        if at and not isinstance(value, str) and not isinstance(values[at - 1], str):
            made += " "
        made += printed(value)
    return made


def sprintln(*values: Any) -> str:
    """A space between all operands, and a newline."""
    return " ".join(map(printed, values)) + "\n"


def sprintf(form: str, *values: Any) -> str:
    """The operands by the verbs of the format."""
    return _Form(form, values).text()


class _Form:
    """A place in the format and in its operands."""

    def __init__(self, form: str, values: Sequence[Any]) -> None:
        self._form = form
        self._values = values
        self._at = 0
        self._next = 0
        self._reordered = False
        self._good = True
        self._indexed = False

    def text(self) -> str:
        made = ""
        while (found := self._form.find("%", self._at)) >= 0:
            made += self._form[self._at : found]
            self._at = found + 1
            made += self._directive()
        made += self._form[self._at :]
        extra = self._values[self._next :]
        if extra and not self._reordered:
            made += f"%!(EXTRA {', '.join(map(_with_kind, extra))})"
        return made

    def _directive(self) -> str:
        self._good = True
        start = self._at
        while self._peek() in ("#", "0", "+", "-", " "):
            self._at += 1
        flags = self._form[start : self._at]
        self._index()
        width, complaint = self._size("%!(BADWIDTH)")
        if width is not None and width < 0:
            flags, width = "-" + flags.replace("0", ""), -width
        precision = None
        if self._peek() == ".":
            self._at += 1
            self._good = self._good and not self._indexed
            self._index()
            precision, wrong = self._precision()
            complaint += wrong
        if not self._indexed:
            self._index()
        return complaint + self._shown(flags, width, precision)

    def _shown(self, flags: str, width: int | None, precision: int | None) -> str:
        letter = self._peek()
        if not letter:
            return "%!(NOVERB)"
        self._at += 1
        if letter == "%":
            return "%"
        if not self._good:
            return f"%!{letter}(BADINDEX)"
        if self._next >= len(self._values):
            return f"%!{letter}(MISSING)"
        self._next += 1
        return formatted(self._values[self._next - 1], Verb(letter, flags, width, precision))

    def _peek(self) -> str:
        return self._form[self._at : self._at + 1]

    def _index(self) -> None:
        """``[n]``: the operand that is next."""
        self._indexed = False
        if self._peek() != "[":
            return
        self._reordered = True
        end = self._form.find("]", self._at)
        text = self._form[self._at + 1 : end] if end >= 0 else ""
        self._at = end + 1 if end >= 0 else self._at + 1
        self._indexed = text.isascii() and text.isdigit()
        if self._indexed and 1 <= int(text) <= len(self._values):
            self._next = int(text) - 1
        else:
            self._good = False

    def _size(self, complaint: str) -> tuple[int | None, str]:
        """A width: digits, or ``*`` for the next operand."""
        if self._peek() == "*":
            self._at += 1
            self._indexed = False
            size = self._operand()
            return size, complaint if size is None else ""
        size = self._digits()
        self._good = self._good and not (self._indexed and size is not None)
        return size, ""

    def _precision(self) -> tuple[int | None, str]:
        if self._peek() != "*":
            size = self._digits()
            return 0 if size is None else size, ""
        size, complaint = self._size("%!(BADPREC)")
        return (size, complaint) if size is None or size >= 0 else (None, "%!(BADPREC)")

    def _operand(self) -> int | None:
        if self._next >= len(self._values):
            return None
        size = self._values[self._next]
        self._next += 1
        fits = isinstance(size, int) and not isinstance(size, bool) and abs(size) <= _LARGEST
        return size if fits else None

    def _digits(self) -> int | None:
        start = self._at
        while self._peek().isascii() and self._peek().isdigit():
            self._at += 1
        text = self._form[start : self._at]
        if text and int(text[:9]) > _LARGEST:
            self._at = len(self._form)
            return None
        return int(text) if text else None


def _with_kind(value: Any) -> str:
    return "<nil>" if value is None else f"{kind(value)}={printed(value)}"
