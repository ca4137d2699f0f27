"""Which daemon a command talks to, and the connection to it.

Order: ``-H`` or ``--socket``/``--run`` on the command line (main.py puts them into the environment), then
PYSUP_SOCKET or PYSUP_RUN, then DOCKER_HOST, then ``/run/pysup/pysup.sock``. A daemon that is named by -H or
DOCKER_HOST is never started by a command, even if it is on this machine: it may be docker's.
"""

from __future__ import annotations

import errno
import os
import socket

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import NotFound, Unavailable
from pysup.supervisor.settings import from_environment

API_VERSION = "1.47"

_NOBODY = frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR})
"""No socket there, or one whose listener is gone."""

__all__ = ["API_VERSION", "Client", "connect", "host", "path", "segment"]


def host() -> str:
    """The daemon that DOCKER_HOST names; empty if there is none, or if pysup's own variables say otherwise."""
    if os.environ.get("PYSUP_SOCKET") or os.environ.get("PYSUP_RUN"):
        return ""
    return os.environ.get("DOCKER_HOST", "")


def connect(*, start: bool = False) -> Client:
    """A client of the daemon; ``start``: one is started if nobody listens. Raises Unavailable, Forbidden."""
    named = host()
    if named:
        return Client(named)
    settings = from_environment()
    where = settings.socket_path
    if not _listening(where):
        if not start or os.environ.get("PYSUP_AUTOSTART") == "0":
            raise Unavailable(
                f"cannot connect to the daemon at {where}: none is there (start it: pysup daemon)"
            )
        from pysup.supervisor.cli import autostart

        autostart.start(settings)
    return Client(f"unix://{where}")


def _listening(where: str) -> bool:
    """Whether somebody accepts connections there. Raises Unavailable if that cannot be known."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(where)
        except OSError as error:
            if error.errno in _NOBODY:
                return False
            cause = error.strerror or "the path of a socket has at most 107 bytes"
            raise Unavailable(f"cannot connect to the daemon at {where}: {cause}") from None
    return True


def segment(name: str) -> str:
    """A name as one segment of a path: whatever is in it, it names one thing of one kind."""
    from urllib.parse import quote

    return quote(name, safe="")


def path(container: str, verb: str = "") -> str:
    """``/containers/NAME/VERB``."""
    if not container:
        raise NotFound("cannot find a container without a name")
    plain = container.replace("_", "").replace("-", "").replace(".", "")
    name = container if plain.isascii() and plain.isalnum() else segment(container)
    return f"/containers/{name}/{verb}" if verb else f"/containers/{name}"
