"""The entry point: global options, then the command, then one line for whatever went wrong.

Exit codes are docker's: 125 a flag cannot be parsed, or a run was refused, by whom ever; 126 and 127 the
container's command cannot be executed or found; the container's own code (128+n for signal n) from run, start -a,
attach and exec; 1 for every other failure, an unknown command and a wrong count of words included. The one own
code is 2, for a wrong use of what docker has not (daemon). Ctrl-C is 130 and a closed pipe 141, both without a word.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from pysup.supervisor import __version__
from pysup.supervisor.cli import catalogue, flags
from pysup.supervisor.cli.catalogue import Entry
from pysup.supervisor.cli.flags import HelpWanted, NotThere, Syntax, UsageError, suggestion
from pysup.supervisor.cli.global_flags import GLOBAL, remember
from pysup.supervisor.cli.output import shown
from pysup.supervisor.errors import PysupError

INTERRUPTED = 130
CLOSED_PIPE = 141


def main() -> int:
    """Run the command line of this process; the exit code."""
    try:
        return _flushed(dispatch(sys.argv[1:]))
    except PysupError as error:
        return _complain(error, _code_of(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return CLOSED_PIPE
    except (
        OSError
    ) as error:  # our output cannot be written: the daemon's connections raise errors of their own
        _drop_output()
        return _complain(PysupError(f"cannot write the output: {error.strerror or error}"), 1)


def command() -> None:
    """The program: main(), and out at once: taking the interpreter apart takes 4 ms, and nothing is left in it."""
    _open_standard_streams()
    code = main()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _open_standard_streams() -> None:
    """One that the caller has closed (``<&-``) would be the next thing that is opened, a connection for example."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good


def _code_of(error: PysupError) -> int:
    named = getattr(error, "exit_code", None)
    return 1 if named is None else int(named)


def dispatch(argv: Sequence[str]) -> int:
    """Do what the command line says, or tell how it is used."""
    try:
        return _dispatched(argv)
    except HelpWanted as asked:
        return _help(asked.syntax)


def _dispatched(argv: Sequence[str]) -> int:
    """Take the global options off, find the command, run it."""
    given = GLOBAL.parse(argv)
    if given.on("version"):
        print(f"pysup version {__version__}")
        return 0
    remember(given)
    words = given.words
    if words[:1] == ["help"]:  # docker's: `help run` is `run --help`
        words = [*words[1:], "--help"] if words[1:] else []
    return _run(words, catalogue.COMMANDS)


def _run(words: Sequence[str], commands: Mapping[str, Entry], group: str = "") -> int:
    """Run the command that the first word names."""
    if not words:
        raise HelpWanted(GLOBAL)
    name, *argv = words
    if name in commands:
        return _perform(commands[name], argv)
    if not group and name in catalogue.GROUPS:
        return _group(name, argv)
    for full in (group + name, name):
        if why := catalogue.LACKING.get(full):
            raise NotThere(f"cannot run 'pysup {full}': it is not supported yet ({why})")
    known = [*commands, *(() if group else catalogue.GROUPS)]
    raise UsageError(
        f"cannot run {group}{name!r}: unknown command{suggestion(name, known)} (see 'pysup {group}--help')",
        flags.BAD_WORDS,
    )


def _perform(entry: Entry, argv: Sequence[str]) -> int:
    command = catalogue.load(entry.target)
    if not entry.starts:
        return command(argv)
    from pysup.supervisor.cli import connection

    with connection.starting():
        return command(argv)


def _group(group: str, argv: Sequence[str]) -> int:
    summary, commands = catalogue.GROUPS[group]
    words: list[str] = []
    with suppress(HelpWanted):
        words = Syntax(group, "COMMAND", summary, most=None, interspersed=False).parse(argv).words
    if words:
        return _run(words, commands, f"{group} ")
    from pysup.supervisor.cli.usage import group_help

    print(group_help(group, summary, commands))
    return 0


def _help(syntax: Syntax) -> int:
    from pysup.supervisor.cli.usage import command_help, main_help

    print(main_help(syntax) if syntax is GLOBAL else command_help(syntax))
    return 0


def _flushed(code: int) -> int:
    """Write out what is buffered while a closed pipe can still be handled."""
    sys.stdout.flush()
    return code


def _drop_output() -> None:
    """Nobody reads what we write (``pysup ps | head``), or it cannot be written: let the last flush succeed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(error: PysupError, code: int) -> int:
    sys.stdout.flush()
    shown.complain(error)
    return code


if __name__ == "__main__":
    command()
