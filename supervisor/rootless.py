"""A daemon of an ordinary user: it becomes root in a user namespace of its own, and is executed anew there.

Its ids are those that /etc/subuid and /etc/subgid give to the user, mapped by newuidmap(1) and newgidmap(1); where
there are none, its own id alone is mapped, and is root inside (user_namespaces(7)). The process stays the same one, so
whoever started it can wait for it.

Before, in the host's namespace, the user still owns what an earlier daemon of his has left, and ends it: where there
are no cgroups, nobody could find that later.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from typing import NoReturn

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.keeper.ground import CannotStart
from pysup.supervisor.kernel import mounts, netns, process
from pysup.supervisor.kernel.libc import AT_FDCWD
from pysup.supervisor.kernel.searching import processes_of
from pysup.supervisor.network import uplink_programs
from pysup.supervisor.runtime import subordinate_ids
from pysup.supervisor.settings import Settings


def enter(settings: Settings) -> NoReturn:
    """Execute this program anew as root of a user namespace, with these settings' directories. Raises CannotStart."""
    uid, gid = os.getuid(), os.getgid()
    maps = {kind: _arguments(kind, uid, own) for kind, own in (("uid", uid), ("gid", gid))}
    try:
        _end_leftovers(settings)
        _map_ids(None if subordinate_ids.why_none(uid) else maps, uid, gid)
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        process.unshare(process.CLONE_NEWNS)
        mounts.mount("none", "/", "", mounts.MS_REC | mounts.MS_SLAVE)
        _protect(sys.executable)
    except OSError as error:
        cause = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise CannotStart(f"cannot start the daemon without root: {cause}") from error
    environment = {**os.environ, "PYSUP_ROOT": settings.root, "PYSUP_RUN": settings.run}
    os.execve(sys.executable, sys.orig_argv, environment)  # noqa: S606 - this very program


# -- ids -----------------------------------------------------------------------------------------------------


def _arguments(kind: str, uid: int, own: int) -> list[str]:
    """What the program is told: the user is root, its further ids follow from 1 on."""
    words, inside = ["0", str(own), "1"], 1
    for start, size in subordinate_ids.given(kind, uid):
        words += [str(inside), str(start), str(size)]
        inside += size
    return words


def _map_ids(maps: dict[str, list[str]] | None, uid: int, gid: int) -> None:
    """Enter the namespace. The programs must run outside of it, in a child that waits until there is one."""
    if maps is None:
        process.unshare(process.CLONE_NEWUSER)
        _write("setgroups", "deny")
        _write("gid_map", f"0 {gid} 1")
        _write("uid_map", f"0 {uid} 1")
        return
    wait_fd, go_fd = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        os.close(go_fd)
        os._exit(_run_programs(maps, os.getppid(), wait_fd))
    os.close(wait_fd)
    process.unshare(process.CLONE_NEWUSER)
    os.write(go_fd, b"1")
    os.close(go_fd)
    _pid, status = os.waitpid(child, 0)
    if status:
        raise CannotStart(
            "cannot start the daemon without root: newuidmap and newgidmap mapped no ids (see above)"
        )
    os.setgroups([])


def _run_programs(maps: dict[str, list[str]], pid: int, wait_fd: int) -> int:
    """What they write on standard error says why they refuse."""
    if os.read(wait_fd, 1) != b"1":
        return 1
    done = [
        subprocess.run([subordinate_ids.PROGRAMS[kind], str(pid), *words], check=False)
        for kind, words in maps.items()
    ]
    return int(any(one.returncode for one in done))


def _write(name: str, text: str) -> None:
    with open(f"/proc/self/{name}", "wb", buffering=0) as file:
        file.write(text.encode())


def without_bridge(chosen: Settings) -> Settings:
    """An ordinary user has no default network without a program that leads it out (network/uplink.py).

    One that was asked for is refused by name. Raises Unavailable.
    """
    lacking = "" if netns.is_governed() or chosen.bridge == "none" else uplink_programs.why_not()
    if not lacking:
        return chosen
    if chosen.bridge != Settings().bridge:
        raise Unavailable(
            f"cannot start the daemon: --bridge {chosen.bridge}: {lacking}; there is --bridge none"
        )
    return chosen._replace(bridge="none")


# -- what is there -------------------------------------------------------------------------------------------


def _protect(program: str) -> None:
    """Cover the program with itself, read-only: as kernel/program.py does it for root, who can copy the root mount."""
    path = os.path.realpath(program)
    tree = mounts.open_tree(AT_FDCWD, path)
    target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        mounts.mount_setattr(tree, attr_set=mounts.MOUNT_ATTR_RDONLY)
        mounts.move_mount(tree, target)
    finally:
        os.close(target)
        os.close(tree)


def _end_leftovers(settings: Settings) -> None:
    """End processes of containers that no daemon of this root watches any more: its lock is free."""
    containers = os.path.join(os.path.realpath(settings.root), "containers") + "/"
    with contextlib.suppress(FileNotFoundError, BlockingIOError), open(settings.lock, "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        while [pid for pid in processes_of(containers) if _end(pid)]:
            os.sched_yield()  # they need a moment to go


def _end(pid: int) -> bool:
    """Kill a process; whether that may be done: what is another user's stays, and is not waited for."""
    with contextlib.suppress(ProcessLookupError):
        try:
            os.kill(pid, signal.SIGKILL)
        except PermissionError:
            return False
    return True
