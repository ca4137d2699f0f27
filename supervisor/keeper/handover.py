"""Become the keeper's program, at its begin, or the next one: execve(2) with every kept descriptor open.

Two come to the next one: the keeper itself at an upgrade, and the engine when the keeper was killed (the engine
holds a duplicate of everything, so nothing is lost but the parenthood: see exits.py).
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn

from pysup.supervisor.keeper import ground, table
from pysup.supervisor.keeper.ground import CannotStart
from pysup.supervisor.keeper.table import Handover
from pysup.supervisor.kernel import files, program, signals
from pysup.supervisor.settings import Settings

_MODULE = ["-P", "-m", "pysup.supervisor.keeper.main"]
PROGRAM = [sys.executable, *_MODULE]


def _files() -> list[tuple[str, int, int]]:
    """Name, time and size of each file of the keeper's program, as they are on disk now."""
    here = os.path.dirname(__file__)
    found = []
    for directory in (here, os.path.join(os.path.dirname(here), "kernel")):
        with contextlib.suppress(OSError), os.scandir(directory) as entries:
            found += [
                (one.path, one.stat().st_mtime_ns, one.stat().st_size)
                for one in entries
                if one.name.endswith(".py")
            ]
    return sorted(found)


_LOADED = _files()


def is_outdated() -> bool:
    """Whether another program was installed since: a new engine would speak to this one in words of its own."""
    return _files() != _LOADED


def begin(settings: Settings) -> NoReturn:
    """Replace the command's program by the keeper's: what it has in memory, each child has to copy. Raises CannotStart.

    A signal that comes meanwhile waits, until the keeper can take it.
    """
    ground.check(settings)
    signals.block_all()
    try:
        program.execute([*_MODULE, "--settings", settings.to_json()])
    except OSError as error:
        raise CannotStart(f"cannot start the daemon: {sys.executable}: {error.strerror}") from error


def become_keeper(handover: Handover) -> NoReturn:
    """Replace this process's program by the keeper's. Returns only by an OSError of execve(2).

    A signal that comes meanwhile waits, as in begin(): it is one to the keeper already.
    """
    before = signals.block_all()
    document = files.memory_file("pysup-handover", table.to_json(handover))
    try:
        for fd in (document, *handover.descriptors()):
            files.let_inherit(fd)
        os.execve(PROGRAM[0], [*PROGRAM, "--adopt-fd", str(document)], os.environ)  # noqa: S606
    finally:  # this program goes on: what it starts is to have none of them
        signals.restore(before)
        os.close(document)
        for fd in handover.descriptors():
            files.keep_private(fd)


def program_works() -> bool:
    """Start the program on disk with --check and wait for it: a broken one must not take the keeper's
    place.
    """
    argv = [*PROGRAM, "--check"]
    try:
        pid = os.posix_spawn(argv[0], argv, os.environ, setsigmask=())
        return os.waitpid(pid, 0)[1] == 0
    except OSError:
        return False


def receive(document_fd: int) -> Handover:
    """Read the document in the new program, and make every descriptor close-on-exec again."""
    handover = table.from_json(files.read_all(document_fd, table.MAX_DOCUMENT))
    os.close(document_fd)
    for fd in handover.descriptors():
        files.keep_private(fd)
    return handover
