"""``pysup load`` and ``pysup save``: images as archives; ``pysup export``: a container's root as one."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO
from urllib.parse import urlencode

from pysup.supervisor.cli.connection import connect
from pysup.supervisor.cli.flags import Syntax, switch, text
from pysup.supervisor.cli.output.progress_lines import Lines
from pysup.supervisor.client.core import container_path
from pysup.supervisor.errors import PysupError

_PIECE = 1 << 20

LOAD = Syntax(
    "load",
    "[OPTIONS]",
    "Load an image from a tar archive or STDIN",
    (
        text("input", "Read from tar archive file, instead of STDIN", short="i"),
        text("platform", "Load only the given platform variant, os/arch[/variant]"),
        switch("quiet", "Suppress the load output", short="q"),
    ),
    0,
    0,
)
SAVE = Syntax(
    "save",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Save one or more images to a tar archive (streamed to STDOUT by default)",
    (
        text("output", "Write to a file, instead of STDOUT", short="o"),
        text("platform", "Save only the given platform variant, os/arch[/variant]"),
    ),
    1,
    None,
)

EXPORT = Syntax(
    "export",
    "[OPTIONS] CONTAINER",
    "Export a container's filesystem as a tar archive",
    (text("output", "Write to a file, instead of STDOUT", short="o"),),
    1,
    1,
)


def load(argv: Sequence[str]) -> int:
    """``pysup load``: prints what has been loaded."""
    given = LOAD.parse(argv)
    quiet = given.on("quiet") or not sys.stdout.isatty()
    query = {"quiet": str(int(quiet))} | (
        {"platform": given.text("platform")} if given.text("platform") else {}
    )
    progress = Lines(sys.stdout)
    name = given.text("input")
    with _opened(name) as file:
        pieces = iter(lambda: file.read(_PIECE), b"")
        for line in connect().stream_json("POST", f"/images/load?{urlencode(query)}", body=pieces):
            progress.show(line)
            sys.stdout.write(line.get("stream", ""))
    return 0


def _opened(name: str) -> BinaryIO:
    if name in {"", "-"}:
        if sys.stdin.isatty():
            raise PysupError(
                "cannot load from the terminal: redirect standard input, or name a file with --input"
            )
        return sys.stdin.buffer
    try:
        return open(name, "rb")
    except OSError as error:
        raise PysupError(f"cannot load {name}: {error.strerror}") from None


def save(argv: Sequence[str]) -> int:
    """``pysup save``: writes the archive, or no file at all."""
    given = SAVE.parse(argv)
    query = [("names", name) for name in given.words]
    query += [("platform", given.text("platform"))] if given.text("platform") else []
    _fetch(f"/images/get?{urlencode(query)}", given.text("output"), "save")
    return 0


def export(argv: Sequence[str]) -> int:
    """``pysup export``: writes the archive, or no file at all."""
    given = EXPORT.parse(argv)
    _fetch(container_path(given.words[0], "export"), given.text("output"), "export")
    return 0


def _fetch(path: str, output: str, verb: str) -> None:
    with connect().exchange("GET", path) as opened, _target(output, verb) as file:
        for piece in opened.pieces():
            file.write(piece)


@contextlib.contextmanager
def _target(name: str, verb: str) -> Iterator[BinaryIO]:
    if name in {"", "-"}:
        if sys.stdout.isatty():
            raise PysupError(
                f"cannot {verb} to the terminal: redirect standard output, or name a file with --output"
            )
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif os.path.exists(name) and not os.path.isfile(name):  # a pipe, a device
        with open(name, "wb") as file:
            yield file
    else:
        yield from _new_file(name, verb)


def _new_file(name: str, verb: str) -> Iterator[BinaryIO]:
    """Under another name until it is whole."""
    try:
        fd, temporary = tempfile.mkstemp(prefix=".pysup-", dir=os.path.dirname(name) or ".")
    except OSError as error:
        raise PysupError(f"cannot {verb} to {name}: {error.strerror}") from None
    with contextlib.ExitStack() as stack:
        stack.callback(os.unlink, temporary)
        with open(fd, "wb") as file:
            yield file
        os.rename(temporary, name)
        stack.pop_all()
