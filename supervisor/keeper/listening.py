"""Listening by TCP, beside the unix socket: the keeper holds these sockets, too, so a new engine refuses nobody.

They are an entry of its table like any other, so they go wherever that goes: to a new keeper, and to each engine.
"""

from __future__ import annotations

import _socket

from pysup.supervisor.keeper.ground import BACKLOG, CannotStart
from pysup.supervisor.keeper.table import Table

KEY = "listen/tcp"


def listen_tcp(addresses: tuple[str, ...], table: Table) -> None:
    """Listen on each ``ADDRESS:PORT`` (no names). Raises CannotStart."""
    for text in addresses:
        try:
            table.entry(KEY).hold({text: _listening(text)})
        except OSError as error:
            raise CannotStart(f"cannot listen on tcp://{text}: {error.strerror or error}") from error


def _listening(text: str) -> int:
    host, _, port = text.rpartition(":")
    family = _socket.AF_INET6 if host.startswith("[") else _socket.AF_INET
    sock = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        if family == _socket.AF_INET6:
            sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
        sock.bind((host.strip("[]"), int(port)))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock.detach()
