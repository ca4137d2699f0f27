"""Which daemon a command talks to, and the connection to it.

Order: ``-H``, ``--socket``, ``--run`` on the command line (main.py puts them into the environment), then
PYSUP_SOCKET, PYSUP_RUN, DOCKER_HOST, then ``/run/pysup/pysup.sock``, or for an ordinary user
``$XDG_RUNTIME_DIR/pysup/pysup.sock``, if a daemon of his own is there, or he may not use the machine's. A daemon
that is named by -H or DOCKER_HOST is never started by a command, even if it is on this machine: it may be docker's.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import os
import sys
from collections.abc import Iterator

from pysup.supervisor.client.core import container_path as path
from pysup.supervisor.client.core import named_host as host
from pysup.supervisor.client.core import segment
from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import Unavailable
from pysup.supervisor.settings import from_environment, socket_to_use

API_VERSION = "1.47"

_NOBODY = frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR})
"""No socket there, or one whose listener is gone."""

__all__ = ["API_VERSION", "Client", "connect", "host", "path", "segment"]


_policy = {"start": False}


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Inside the block connect() starts a daemon where it finds none: for the commands that the catalogue names."""
    _policy["start"] = True
    try:
        yield
    finally:
        _policy["start"] = False


def connect(*, start: bool = True) -> Client:
    """A client of the daemon; with ``start`` one may be started if nobody listens. Raises Unavailable, Forbidden."""
    named = host()
    if named:
        return Client(named)
    where = socket_to_use()
    if hasattr(_socket, "AF_UNIX") and not _listening(where):
        if not (start and _policy["start"]) or os.environ.get("PYSUP_AUTOSTART") == "0":
            advice = "start it: pysup daemon" if sys.platform == "linux" else "one can only run on Linux"
            raise Unavailable(f"cannot connect to the daemon at {where}: none is there ({advice})")
        from pysup.supervisor.cli import autostart

        autostart.start(from_environment())
    return Client(f"unix://{where}")


def _listening(where: str) -> bool:
    """Whether somebody accepts connections there. Raises Unavailable if that cannot be known."""
    with contextlib.closing(_socket.socket(_socket.AF_UNIX)) as probe:
        try:
            probe.connect(where)
        except OSError as error:
            if error.errno in _NOBODY:
                return False
            cause = error.strerror or "the path of a socket has at most 107 bytes"
            raise Unavailable(f"cannot connect to the daemon at {where}: {cause}") from None
    return True
