"""Descriptors, pipes, memory files, file systems: close_range(2), F_SETPIPE_SZ of fcntl(2), memfd_create(2),
syncfs(2), renameat2(2), SEEK_DATA of lseek(2).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator

from pysup.supervisor.kernel import libc

_SYS_CLOSE_RANGE = 436
_LAST = 0xFFFFFFFF
_CLOSE_RANGE_CLOEXEC = 4
_RENAME_NOREPLACE = 1
_TEXT = 1 << 20
_renameat2 = libc.bind("renameat2", libc.c_int, libc.c_char_p, libc.c_int, libc.c_char_p, libc.c_uint)
_syncfs = libc.bind_waiting("syncfs", libc.c_int)


def close_range(first: int, last: int = _LAST) -> None:
    """Close every descriptor from ``first`` to ``last``. close_range(2), Linux 5.9."""
    libc.syscall(_SYS_CLOSE_RANGE, "close_range", first, last, 0)


@contextlib.contextmanager
def closing(fd: int) -> Iterator[int]:
    """Close a descriptor after the block."""
    try:
        yield fd
    finally:
        os.close(fd)


def set_pipe_size(fd: int, size: int) -> int:
    """Give a pipe room for at least ``size`` bytes; the size it has then. F_SETPIPE_SZ(2const)."""
    return fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size)


def memory_file(name: str, content: bytes) -> int:
    """A descriptor (close-on-exec) of an unnamed file in memory, at its start. memfd_create(2).

    What is read from it is copied page by page: a reader uses pread or reads to the end.
    """
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        _write_all(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd


def sealed_memory_file(name: str, content: bytes) -> int:
    """A memory file that nobody can change any more, whoever gets a descriptor of it (F_ADD_SEALS, fcntl(2))."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        _write_all(fd, content)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _write_all(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def read_all(fd: int, limit: int) -> bytes:
    """Read to the end of a file. Raises ValueError if it is longer than ``limit`` bytes."""
    parts: list[bytes] = []
    room = limit + 1
    while room > 0 and (part := os.read(fd, min(room, 1 << 16))):
        parts.append(part)
        room -= len(part)
    if room <= 0:
        raise ValueError(f"the file is longer than {limit} bytes")
    return b"".join(parts)


def text_of(path: str) -> str:
    """What a text file of at most a MiB says, whatever bytes are in it; empty if it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return read_all(fd, _TEXT).decode("utf-8", "surrogateescape")
    except (OSError, ValueError):
        return ""
    finally:
        os.close(fd)


def close_on_exec_from(first: int) -> None:
    """Let execve(2) close every descriptor from ``first`` on. CLOSE_RANGE_CLOEXEC, Linux 5.11."""
    libc.syscall(_SYS_CLOSE_RANGE, "close_range", first, _LAST, _CLOSE_RANGE_CLOEXEC)


def let_inherit(fd: int) -> None:
    """Keep a descriptor open across execve(2)."""
    os.set_inheritable(fd, True)  # noqa: FBT003


def keep_private(fd: int) -> None:
    """Close a descriptor at execve(2)."""
    os.set_inheritable(fd, False)  # noqa: FBT003


def syncfs(path: str) -> None:
    """Write all that waits in memory for the file system of ``path``, and wait for it. syncfs(2).

    Raises OSError, also for what could not be written since the last time (Linux 5.8).
    """
    with closing(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        libc.check(_syncfs(fd), "syncfs")


@contextlib.contextmanager
def duplicate(fd: int) -> Iterator[int]:
    """A descriptor of the same, while the block lasts: whoever owns ``fd`` may close it meanwhile. dup(2).

    A number alone could be another file's by the time that it is used.
    """
    with closing(os.dup(fd)) as copy:
        yield copy


def sync_directory(path: str) -> None:
    """Have the names in a directory on the disk. fsync(2)."""
    with closing(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as fd:
        os.fsync(fd)


def data_of(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Offset and length of what is data in the first ``size`` bytes of a file; the rest is holes. lseek(2)."""
    place = 0
    while place < size:
        try:
            begin = os.lseek(fd, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        place = min(os.lseek(fd, begin, os.SEEK_HOLE), size)
        if begin < place:
            yield begin, place - begin


def rename_to_free(old: str, new: str, old_dir: int, new_dir: int) -> bool:
    """Move a name from one directory to another; False, and nothing done, if the name is taken there. renameat2(2)."""
    result = _renameat2(old_dir, libc.text(old), new_dir, libc.text(new), _RENAME_NOREPLACE)
    try:
        libc.check(result, "renameat2")
    except libc.KernelError as error:
        if error.errno != errno.EEXIST:
            raise
        return False
    return True
