"""TCP sockets that are bound, and neither listen nor are connected: /proc/net tells of none, sock_diag(7) does."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from pysup.supervisor.kernel.nlmsg import HEADER, split

_SOCK_DIAG, _BY_FAMILY = 4, 20
"""NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY."""
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_BOUND_INACTIVE = 1 << 13
"""TCPF_BOUND_INACTIVE: an older kernel than Linux 6.8 knows no such state, and finds none."""
_REQUEST = struct.Struct("=BBBxI")
"""struct inet_diag_req_v2: family, protocol, extensions, states; then the sockets that are meant."""
_ID_SIZE = 48
"""Bytes of struct inet_diag_sockid; all zero: any."""
_PORT = struct.Struct(">H")
_PORT_AT, _ADDRESS_AT, _INODE_AT = 4, 8, 68
"""In struct inet_diag_msg."""
_LARGEST = 1 << 16


class Bound(NamedTuple):
    """A socket."""

    port: int
    address: str
    """That it is bound to."""
    inode: str
    """Its number, by which its process is found."""


def bound(port: int) -> Iterator[Bound]:
    """Those that have a port; nothing where the kernel cannot tell."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:  # the kernel compares no ports in this state
            yield from (one for one in _dumped(family) if one.port == port)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.EPROTONOSUPPORT}:  # the kernel has no inet_diag
                raise


def _dumped(family: int) -> Iterator[Bound]:
    wanted = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _BOUND_INACTIVE) + bytes(_ID_SIZE)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _SOCK_DIAG) as sock:
        sock.sendto(HEADER.pack(HEADER.size + len(wanted), _BY_FAMILY, _REQUEST_DUMP, 1, 0) + wanted, (0, 0))
        while True:
            for answer in split(sock.recv(_LARGEST)):
                if answer.kind == _DONE:
                    return
                if answer.kind == _ERROR:
                    (number,) = struct.unpack_from("=i", answer.data)
                    raise OSError(-number, "sock_diag")
                yield _read(family, answer.data)


def _read(family: int, payload: bytes) -> Bound:
    (port,) = _PORT.unpack_from(payload, _PORT_AT)
    (inode,) = struct.unpack_from("=I", payload, _INODE_AT)
    size = 4 if family == socket.AF_INET else 16
    return Bound(port, str(ip_address(payload[_ADDRESS_AT : _ADDRESS_AT + size])), str(inode))
