"""HTTP/1.1 over a listening socket: h11 parses, trio carries. One task for each connection.

Why not an ASGI server: attach and exec take the connection itself over (hijack), and a client that has shut its
writing side down is still there. Disconnects are told from half-closes by EPOLLHUP, which a socket reports only
when both directions are closed (poll(2)).
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable

import trio

from pysup.supervisor.api.connection import Connection
from pysup.supervisor.api.departures import Departures
from pysup.supervisor.api.transport import Transport
from pysup.supervisor.api.wire import Answer, Request
from pysup.supervisor.engine.commands import Caller

log = logging.getLogger(__name__)

App = Callable[[Request], Awaitable[Answer]]
MAX_CONNECTIONS = 1024
"""More than these wait in the listening socket's backlog."""
_UCRED = struct.Struct("=iII")
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE = 0.1
"""Seconds to wait when there is no descriptor for another connection."""


async def serve(
    listener: trio.SocketListener,
    app: App,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept connections until cancelled; what a connection does wrong ends only that connection."""
    room = trio.Semaphore(MAX_CONNECTIONS)
    departures = Departures()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(departures.watch)
        task_status.started()
        while True:
            await room.acquire()
            stream = await _accept(listener)
            nursery.start_soon(_serve_one, Transport(stream, departures), app, room)


async def _accept(listener: trio.SocketListener) -> trio.SocketStream:
    told = False
    while True:
        try:
            return await listener.accept()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            if not told:
                log.error("cannot accept a connection: %s", error.strerror)
            told = True
            await trio.sleep(_PAUSE)


async def _serve_one(transport: Transport, app: App, room: trio.Semaphore) -> None:
    try:
        await Connection(transport, app, peer(transport.socket)).serve()
    except Exception:
        log.exception("a connection failed")
    finally:
        room.release()
        await transport.close()


def peer(sock: trio.socket.SocketType) -> Caller:
    """Who is at the other end (SO_PEERCRED, unix(7)); its name is that of the process now, perhaps gone."""
    if sock.family != socket.AF_UNIX:
        return Caller(-1, 0, "remote")
    pid, uid, _gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Caller(uid, pid, _name_of(pid))


def _name_of(pid: int) -> str:
    try:
        fd = os.open(f"/proc/{pid}/comm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return "?"
    try:
        return os.read(fd, 64).decode(errors="replace").strip()
    finally:
        os.close(fd)
