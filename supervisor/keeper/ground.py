"""What a daemon stands on: its directories, the lock that makes it the only one, the API socket, its starter.

The keeper owns the listening socket, so a client that connects while the engine is started anew waits for it
instead of being refused.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import fcntl
import os
import signal
import stat

from pysup.supervisor.errors import Conflict, PysupError
from pysup.supervisor.keeper import names
from pysup.supervisor.kernel import capabilities
from pysup.supervisor.kernel.own_ids import is_rootless
from pysup.supervisor.settings import Settings

SOCKET_GROUP = "pysup"
BACKLOG = 512
_PID_DIGITS = 10
_LONGEST_PATH = 107
"""sockaddr_un has 108 bytes (unix(7))."""


class CannotStart(PysupError):
    """The daemon cannot start; the text says why."""


class InUse(Conflict):
    """Another daemon has this root; ``owner`` is its pid, 0 if it has not said so."""

    def __init__(self, root: str, owner: int) -> None:
        super().__init__(f"cannot start the daemon: another one (pid {owner or 'unknown'}) uses {root}")
        self.owner = owner


def check(settings: Settings) -> None:
    """What must be right before anything is made, so that nothing is left of a start in vain. Raises CannotStart."""
    path = settings.socket_path
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise CannotStart(f"cannot listen on {path}: the path is longer than {_LONGEST_PATH} bytes")
    if capabilities.NAMES["CAP_SYS_ADMIN"] not in capabilities.permitted():
        raise CannotStart(
            "cannot start the daemon: root lacks CAP_SYS_ADMIN here, as in a container that is not privileged"
        )


class Directories:
    """The state and run directories, as far as they are made for this daemon."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: list[str] = []

    def make(self) -> None:
        """Make those that are missing. Raises CannotStart."""
        for path, mode in ((self._settings.root, 0o710), (self._settings.run, 0o755)):
            try:
                self._make_with_parents(path)
                found = stat.S_IMODE(os.stat(path).st_mode)
                if found & stat.S_ISVTX:
                    raise CannotStart(
                        f"cannot start the daemon: {path} is a directory for everybody, like /tmp"
                    )
                if found & ~mode:
                    _close(path, mode)
            except OSError as error:
                raise CannotStart(f"cannot start the daemon: {path}: {error.strerror}") from error

    def _make_with_parents(self, path: str) -> None:
        missing = []
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(os.path.abspath(path))
        for one in reversed(missing):
            os.mkdir(one)
            self._made.append(one)

    def remove_unused(self) -> None:
        """A daemon that was refused leaves nothing of what was made for it; only what has something in it stays."""
        for path in reversed(self._made):
            with contextlib.suppress(OSError):
                if (
                    os.listdir(path) == [os.path.basename(self._settings.lock)]
                    and path == self._settings.root
                ):
                    os.unlink(self._settings.lock)
                os.rmdir(path)


def _close(path: str, mode: int) -> None:
    """Some file systems, vfat for one, take a mode and have another. Raises CannotStart, OSError."""
    os.chmod(path, mode)
    kept = stat.S_IMODE(os.stat(path).st_mode)
    if kept & ~mode:
        raise CannotStart(
            f"cannot start the daemon: {path}: its file system keeps no permissions: it stays open to others "
            f"(mode {kept:o})"
        )


def take_lock(settings: Settings) -> int:
    """Lock the root for this daemon, for as long as the descriptor (or a duplicate) is open. flock(2).

    Raises CannotStart, InUse.
    """
    try:
        fd = os.open(settings.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise CannotStart(f"cannot start the daemon: {settings.lock}: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(fd, 32, 0).strip()
        os.close(fd)
        raise InUse(settings.root, int(owner) if owner.isdigit() else 0) from None
    return fd


def ask_to_upgrade(settings: Settings) -> int:
    """Send SIGUSR2 to the daemon of this root; its pid. Raises CannotStart if there is none, or none yet.

    The pid in the lock file is that of whoever holds the lock, so it is worth nothing while nobody does.
    """
    try:
        with open(settings.lock, encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with open(settings.lock, encoding="ascii") as file:
            owner = file.read().strip()
        with contextlib.suppress(ProcessLookupError):
            if owner.isdigit():
                os.kill(int(owner), signal.SIGUSR2)
                return int(owner)
        raise CannotStart(f"cannot upgrade the daemon: that of {settings.root} begins just now") from None
    except FileNotFoundError:
        pass
    raise CannotStart(f"cannot upgrade the daemon: none uses {settings.root}")


def sign_lock(fd: int, path: str) -> None:
    """Write the keeper's pid into the lock file, for the error of a second daemon. Raises CannotStart.

    In one write of a fixed length: whoever reads it meanwhile finds the old pid or the new one.
    """
    try:
        os.pwrite(fd, f"{os.getpid():<{_PID_DIGITS}}\n".encode(), 0)
    except OSError as error:
        raise CannotStart(f"cannot start the daemon: {path}: {error.strerror}") from error


def listen(settings: Settings) -> int:
    """Make the API socket, for root and the group that is named, or ``pysup`` if there is one."""
    path = settings.socket_path
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        _remove_stale(path)
        _bind(sock, path, settings)
    except OSError as error:
        sock.close()
        raise CannotStart(f"cannot listen on {path}: {error.strerror}") from error
    return sock.detach()


def _bind(sock: _socket.socket, path: str, settings: Settings) -> None:
    """The umask makes the mode right from the first moment. An ordinary user's is his alone, if he does not say."""
    alone = is_rootless() and not settings.socket_group
    group = None if alone else _group(settings.socket_group)
    before = os.umask(0o777 & ~(settings.socket_mode & 0o700 if alone else settings.socket_mode))
    try:
        sock.bind(path)
    finally:
        os.umask(before)
    if group is not None:
        os.chown(path, 0, group)
    sock.listen(BACKLOG)


def _group(named: str) -> int | None:
    """The group's id; None if nobody has named one, and there is no ``pysup``. Raises CannotStart."""
    found = int(named) if named.isascii() and named.isdigit() else names.group_id(named or SOCKET_GROUP)
    if named and found is None:
        raise CannotStart(f"cannot start the daemon: there is no group {named}")
    return found


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on; the lock does not cover a daemon with another root."""
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        probe.connect(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:  # a file that is no socket refuses, too
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "there is a file that is no socket") from None
        os.unlink(path)
    else:
        raise OSError(errno.EADDRINUSE, "another daemon listens there")
    finally:
        probe.close()


def remove_socket(settings: Settings) -> None:
    """Remove the API socket when the daemon ends."""
    with contextlib.suppress(OSError):
        os.unlink(settings.socket_path)
