"""Processes by what is mounted where they are: those of a container that has no cgroup."""

from __future__ import annotations

import contextlib
import os
import re

_SPECIAL = re.compile(rb"[ \t\n\\]")


def processes_of(path: str) -> list[int]:
    """Pids, in this process's pid namespace, of all whose mount namespace shows a part of ``path``, this one's not.

    A mount namespace is read once, however many are in it (proc_pid_mountinfo(5)); what may not be read is not ours.
    """
    known = {_namespace("self"): False}
    return [pid for pid in _pids() if _shows(pid, path, known)]


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _namespace(pid: object) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/mnt")
    return ""


def _shows(pid: int, path: str, known: dict[str, bool]) -> bool:
    namespace = _namespace(pid)
    if namespace and namespace not in known:
        known[namespace] = _names(pid, _escaped(path))
    return bool(namespace) and known[namespace]


def _escaped(path: str) -> bytes:
    r"""As mountinfo has it: a space is written \040 and so on (fs/proc_namespace.c, mangle)."""
    return _SPECIAL.sub(lambda match: b"\\%03o" % ord(match[0]), os.fsencode(path))


def _names(pid: int, path: bytes) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/mountinfo", "rb") as file:
        return path in file.read()
    return False
