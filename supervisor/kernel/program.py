"""This process's own program, protected from those who come to see it as /proc/self/exe."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from pysup.supervisor.kernel import mounts
from pysup.supervisor.kernel.libc import AT_FDCWD

_SELF = "/proc/self/exe"


def is_protected() -> bool:
    """Whether the program lies on a read-only mount, so that nobody can open it for writing by /proc/PID/exe."""
    return bool(os.statvfs(_SELF).f_flag & os.ST_RDONLY)


def protect() -> None:
    """Execute this program again, from a private read-only copy of the root mount (CVE-2019-5736).

    A container's first process is a copy of the keeper until its own program begins. If that is ``/proc/self/exe``,
    or a script with such an interpreter, the host's interpreter runs in the container, and could be overwritten
    through that link as soon as nobody executes it; Linux 6.11 and 6.12 do not even wait for that. A read-only mount
    refuses it for ever (EROFS). Returns if the program is protected already, or cannot be found by its own path in
    the copy (a program on another file system than the root).
    """
    if not is_protected():
        _execute_copy(sys.orig_argv)


def execute(arguments: list[str]) -> NoReturn:
    """Execute this interpreter with another command line, protected in the same way. Returns only by an OSError."""
    argv = [sys.executable, *arguments]
    if not is_protected():
        _execute_copy(argv)
    os.execve(sys.executable, argv, os.environ)  # noqa: S606


def _execute_copy(argv: list[str]) -> None:
    """Execute this interpreter from the copy. Returns if it is not there."""
    path = os.readlink(_SELF)
    tree = mounts.open_tree(AT_FDCWD, "/")
    mounts.mount_setattr(tree, attr_set=mounts.MOUNT_ATTR_RDONLY)
    try:
        program = os.open(path.lstrip("/"), os.O_PATH | os.O_CLOEXEC, dir_fd=tree)
    except FileNotFoundError:
        os.close(tree)
        return
    if (
        os.path.samestat(os.fstat(program), os.stat(_SELF))
        and os.readlink(f"/proc/self/fd/{program}") == path
    ):
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(program, argv, os.environ)  # noqa: S606
    os.close(program)
    os.close(tree)
