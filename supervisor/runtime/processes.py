"""``docker top``: the host's ps(1) with the user's options, cut down to a container's processes.

moby daemon/top_unix.go: all processes are listed, and the rows are chosen by the PID column.
"""

from __future__ import annotations

import pwd
import re
import shlex
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import trio

from pysup.supervisor.errors import BadRequest, Unavailable
from pysup.supervisor.runtime import proc

DEFAULT = "-ef"
_PID = "PID"
_RENAMED_PID = re.compile(r"\bpid=(?!PID\b)", re.IGNORECASE)


class Processes(NamedTuple):
    """A table: titles, and a row of as many fields for each process."""

    titles: list[str]
    rows: list[list[str]]


async def list_processes(pids: Collection[int], ps_args: str = "") -> Processes:
    """The table of these processes. Without ps(1), that of ``ps -ef`` is made from /proc.

    Raises BadRequest if ps refuses the options or they leave the PID column out.
    """
    arguments = _arguments(ps_args)
    try:
        done = await trio.run_process(
            ["ps", *arguments], capture_stdout=True, capture_stderr=True, check=False
        )
    except FileNotFoundError:
        if arguments != [DEFAULT]:
            raise Unavailable("cannot list processes with options: ps is not installed") from None
        return from_proc(pids)
    if done.returncode != 0:
        raise BadRequest(f"cannot list processes: {_first_line(done)}")
    return select(done.stdout.decode("utf-8", "replace"), pids)


def _arguments(ps_args: str) -> list[str]:
    """Words as a shell would split them. A PID column under another name could not be found again."""
    try:
        words = shlex.split(ps_args) or [DEFAULT]
    except ValueError as error:
        raise BadRequest(f"cannot list processes: the options {ps_args!r}: {error}") from error
    if "\0" in ps_args:
        raise BadRequest("cannot list processes: the options contain a NUL character")
    if any(_RENAMED_PID.search(word) for word in words):
        raise BadRequest(f"cannot list processes: the options {ps_args!r} rename the PID column")
    return words


def _first_line(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[0].strip() if lines else f"ps exited with {done.returncode}"


def select(output: str, pids: Collection[int]) -> Processes:
    """The rows of these pids; those with ``-`` for a pid (threads, option m) belong to the row above.

    Raises BadRequest without a PID column.
    """
    first, *rest = output.splitlines() or [""]
    titles = first.split()
    if _PID not in titles:
        raise BadRequest("cannot list processes: ps shows no PID column; its options must ask for one")
    return Processes(titles, list(_chosen(rest, titles, pids)))


def _chosen(lines: Iterable[str], titles: list[str], pids: Collection[int]) -> Iterator[list[str]]:
    column, inside = titles.index(_PID), False
    for line in lines:
        fields = line.split(maxsplit=len(titles) - 1)
        if len(fields) <= column:
            continue
        if fields[column] != "-":
            inside = fields[column].isdigit() and int(fields[column]) in pids
        if inside:
            yield [*(field.strip() for field in fields), *[""] * (len(titles) - len(fields))]


def from_proc(pids: Iterable[int]) -> Processes:
    """What ``ps -ef`` shows, from /proc; a process that ends meanwhile is left out."""
    now = time.time()
    found = (proc.read(pid, now) for pid in sorted(pids))
    rows = [_row(process) for process in found if process is not None]
    return Processes("UID PID PPID C STIME TTY TIME CMD".split(), rows)  # noqa: SIM905


def _row(process: proc.Process) -> list[str]:
    started = time.strftime("%H:%M", time.localtime(process.started))
    minutes, seconds = divmod(int(process.cpu), 60)
    spent = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    share = str(int(100 * process.cpu / process.age)) if process.age > 0 else "0"
    return [
        _user(process.uid), str(process.pid), str(process.parent), share, started, process.tty, spent,
        process.command,
    ]  # fmt: skip


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
