"""Who is at the other end of a connection: what the kernel says, or a certificate, never what the client says."""

from __future__ import annotations

import os
import socket
import struct

import trio

from pysup.supervisor.engine.callers import Caller

REMOTE = -1
"""The uid and gid of who has none here."""
_UCRED = struct.Struct("=iII")
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 20), (socket.TCP_KEEPCNT, 3))
"""Seconds, seconds and tries after which a peer that is gone without a word is given up (tcp(7))."""


def caller(stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> Caller:
    """The peer; one that connects by TCP is watched for its silent death from now on."""
    plain = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    if plain.socket.family == socket.AF_UNIX:
        return _local(plain.socket)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        plain.setsockopt(socket.IPPROTO_TCP, option, value)
    name = _certified(stream) if isinstance(stream, trio.SSLStream) else "tcp"
    return Caller(REMOTE, 0, f"{name}@{_address(plain.socket)}", REMOTE)


def _local(sock: trio.socket.SocketType) -> Caller:
    """SO_PEERCRED (unix(7)); its name is that of the process now, perhaps gone."""
    pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Caller(uid, pid, _name_of(pid), gid)


def _name_of(pid: int) -> str:
    try:
        fd = os.open(f"/proc/{pid}/comm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return "?"
    try:
        return os.read(fd, 64).decode(errors="replace").strip()
    finally:
        os.close(fd)


def _certified(stream: trio.SSLStream[trio.SocketStream]) -> str:
    """The common name of the certificate, which was verified in the handshake."""
    found = stream.getpeercert() or {}
    names = [value for fields in found.get("subject", ()) for key, value in fields if key == "commonName"]
    return names[0][:64] if names else "?"


def _address(sock: trio.socket.SocketType) -> str:
    try:
        return str(sock.getpeername()[0])
    except OSError:
        return "?"
