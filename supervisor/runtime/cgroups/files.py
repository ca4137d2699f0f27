"""Reading and writing a cgroup's files: one system call each, in the form that cgroups(7) prescribes."""

from __future__ import annotations

import errno
import os

from pysup.supervisor.errors import BadRequest, Conflict, PysupError, Unavailable

_CHUNK = 64 << 10


def read(path: str) -> str:
    """The whole content. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, _CHUNK):
            parts.append(part)
    finally:
        os.close(fd)
    return b"".join(parts).decode("ascii", "replace")


def write(path: str, *values: str) -> None:
    """Write each value in one call, as the kernel takes it. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for value in values:
            os.write(fd, value.encode())
    finally:
        os.close(fd)


def open_directory(path: str) -> int | None:
    """A descriptor of a cgroup's directory; None if there is none."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def text(path: str) -> str:
    """The content, stripped; empty if there is no such file, or no such cgroup any more."""
    try:
        return read(path).strip()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.EOPNOTSUPP):
            return ""
        raise


def number(path: str) -> int:
    """A single number; 0 for ``max`` and for what is missing."""
    content = text(path)
    return int(content) if content.lstrip("-").isdigit() else 0


def table(path: str) -> dict[str, int]:
    """Lines of ``key number`` (memory.stat, cpu.stat, cgroup.events, …); empty if missing."""
    pairs = (line.split() for line in text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}  # noqa: PLR2004


def limit(what: str, path: str, value: str) -> None:
    """Write a limit; ``what`` is limited ("memory"). Raises BadRequest, Conflict or Unavailable with the cause."""
    try:
        write(path, value)
    except OSError as error:
        raise _refusal(what, path, value, error) from error


def _refusal(what: str, path: str, value: str, error: OSError) -> PysupError:
    file = os.path.basename(path)
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return Unavailable(f"cannot limit {what}: no {file} (the controller is not enabled there)")
        case errno.EBUSY:
            return Conflict(f"cannot limit {what} to {value}: more than that is in use")
        case errno.EINVAL | errno.ERANGE | errno.ENODEV | errno.EACCES:
            return BadRequest(f"cannot limit {what} to {value}: {file}: {error.strerror}")
        case _:
            return Unavailable(f"cannot limit {what}: {path}: {error.strerror}")
