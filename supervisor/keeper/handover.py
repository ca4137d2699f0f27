"""Become the next program of the keeper: execve(2) with every kept descriptor open.

Two come this way: the keeper itself at an upgrade, and the engine when the keeper was killed (the engine
holds a duplicate of everything, so nothing is lost but the parenthood: see exits.py).
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from pysup.supervisor.keeper import table
from pysup.supervisor.keeper.table import Handover
from pysup.supervisor.kernel import files

PROGRAM = [sys.executable, "-P", "-m", "pysup.supervisor.keeper.main"]


def become_keeper(handover: Handover) -> NoReturn:
    """Replace this process's program by the keeper's. Returns only by an OSError of execve(2)."""
    document = files.memory_file("pysup-handover", table.to_json(handover))
    for fd in (document, *handover.descriptors()):
        files.let_inherit(fd)
    os.execve(PROGRAM[0], [*PROGRAM, "--adopt-fd", str(document)], os.environ)  # noqa: S606
    raise AssertionError("execve returned")


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
