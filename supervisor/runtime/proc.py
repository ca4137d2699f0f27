"""One process as /proc tells of it (proc_pid_stat(5), proc_pid_cmdline(5))."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

_PTS_MAJORS = range(136, 144)


class Process(NamedTuple):
    """Facts of a process. Times are seconds; ``started`` since the epoch."""

    pid: int
    parent: int
    uid: int
    tty: str
    started: float
    age: float
    cpu: float
    command: str


def read(pid: int, now: float) -> Process | None:
    """Read one; None if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            stat = file.read()
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            arguments = file.read()
        uid = os.stat(f"/proc/{pid}").st_uid
    except (FileNotFoundError, ProcessLookupError):
        return None
    return _process(pid, uid, stat, arguments, now)


def _process(pid: int, uid: int, stat: str, arguments: bytes, now: float) -> Process:
    """The name in parentheses may hold anything, so the fields are counted from its end."""
    before, _, after = stat.rpartition(")")
    fields, hertz = after.split(), os.sysconf("SC_CLK_TCK")
    age = _uptime() - int(fields[19]) / hertz
    command = arguments.replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        uid=uid,
        tty=_tty(int(fields[4])),
        started=now - age,
        age=age,
        cpu=(int(fields[11]) + int(fields[12])) / hertz,
        command=command or f"[{before.partition('(')[2]}]",
    )


_NEVER_EXECUTED = 0x40
"""PF_FORKNOEXEC of the kernel's sched.h, in the flags of proc_pid_stat(5): a zombie keeps them."""


class Standing(NamedTuple):
    """How far a process has come."""

    parent: int
    ended: bool
    executed: bool
    """Whether it has become another program since its fork. Nothing that the program does can change that."""


def standing(pid: int) -> Standing | None:
    """Of one that runs or is a zombie; None if it is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        state, parent, _, _, _, _, flags, *_ = file.read().rpartition(b")")[2].split()
        return Standing(int(parent), state in (b"Z", b"X"), not int(flags) & _NEVER_EXECUTED)
    return None


def _uptime() -> float:
    with open("/proc/uptime", encoding="ascii") as file:
        return float(file.read().split()[0])


def _tty(number: int) -> str:
    major, minor = os.major(number), os.minor(number)
    if major in _PTS_MAJORS:
        return f"pts/{(major - _PTS_MAJORS.start) * 256 + minor}"
    return "?"
