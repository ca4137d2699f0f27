"""NAME=VALUE words and files of -e, --env-file and --label-file (docker/cli pkg/kvfile, opts/env.go)."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping

from pysup.supervisor.cli.files import reading
from pysup.supervisor.cli.flags import UsageError

Lookup = Callable[[str], str | None]


def environment(
    files: Iterable[str], words: Iterable[str], caller: Mapping[str, str] = os.environ
) -> list[str]:
    """The variables of the files, then the words; a name alone takes the caller's value.

    In a file, a name that the caller has not is dropped; as a word it is kept, and unsets the image's
    variable.
    """
    made = [line for path in files for line in read(path, "--env-file", caller.get)]
    return made + [_word(word, caller) for word in words]


def _word(word: str, caller: Mapping[str, str]) -> str:
    name, equals, _ = word.partition("=")
    return word if equals or name not in caller else f"{name}={caller[name]}"


def mapping(files: Iterable[str], words: Iterable[str], flag: str = "--label-file") -> dict[str, str]:
    """NAME=VALUE lines and words as a dict; a name alone has an empty value; later ones win."""
    lines = [line for path in files for line in read(path, flag, lambda _name: "")]
    return {name: value for name, _, value in (word.partition("=") for word in [*lines, *words])}


def read(path: str, flag: str, lookup: Lookup) -> Iterator[str]:
    """The NAME=VALUE lines of a file, without comments and empty lines. Raises UsageError."""
    try:
        yield from _lines(io.StringIO(reading.text(path, "utf-8-sig"), newline=None), lookup)
    except OSError as error:
        raise UsageError(f"cannot read {flag} {path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"cannot read {flag} {path}: {error}") from None


def _lines(lines: Iterable[str], lookup: Lookup) -> Iterator[str]:
    for raw in lines:
        line = raw.rstrip("\r\n").lstrip()
        if not line or line.startswith("#"):
            continue
        name, equals, _ = line.partition("=")
        if not name:
            raise ValueError(f"no variable name on line '{line}'")
        if " " in name or "\t" in name:
            raise ValueError(f"variable '{name}' contains whitespaces")
        value = None if equals else lookup(name)
        if equals:
            yield line
        elif value is not None:
            yield f"{name}={value}"
