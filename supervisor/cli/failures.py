"""How failures become exit codes: a run that did not happen (docker/cli run.go), a daemon that is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pysup.supervisor.cli.flags import BAD_FLAG, UsageError
from pysup.supervisor.client.responses import Lost
from pysup.supervisor.errors import COMMAND_NOT_FOUND, NOT_EXECUTABLE, PysupError

_NOT_FOUND = ("executable file not found", "no such file or directory")
_NOT_EXECUTABLE = ("permission denied", "is a directory", "exec format error")


class RunFailure(PysupError):
    """A failure that ends the command with this code."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def code_of(error: PysupError, otherwise: int = BAD_FLAG) -> int:
    """126 or 127 if the daemon named it; from docker's own daemon, what docker's CLI reads in the text."""
    if isinstance(error, Lost):  # whatever has become of it: that is not the command's own code
        return BAD_FLAG
    named = getattr(error, "exit_code", None)
    if isinstance(named, int):
        return named if named in (NOT_EXECUTABLE, COMMAND_NOT_FOUND) else otherwise
    text = str(error).lower()
    if any(words in text for words in _NOT_FOUND) and "exec" in text:
        return COMMAND_NOT_FOUND
    if any(words in text for words in _NOT_EXECUTABLE) and "exec" in text:
        return NOT_EXECUTABLE
    return otherwise


@contextmanager
def as_run_failure(otherwise: int = BAD_FLAG) -> Iterator[None]:
    """Give every failure inside the block the exit code of a run (``otherwise``: exec's), where it has none itself."""
    try:
        yield
    except UsageError as error:
        error.exit_code = BAD_FLAG if error.exit_code is None else error.exit_code
        raise
    except PysupError as error:
        raise RunFailure(str(error), code_of(error, otherwise)) from None
