"""The little that a child does to its own network namespace: netdevice(7)."""

from __future__ import annotations

import _socket
import fcntl
import struct

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_IFF_RUNNING = 0x40


def loopback_up() -> None:
    """Bring ``lo`` up; the kernel gives it 127.0.0.1 and ::1 by itself. SIOCSIFFLAGS of netdevice(7)."""
    request = struct.pack("=16sh22x", b"lo", _IFF_UP | _IFF_RUNNING)
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        fcntl.ioctl(sock.fileno(), _SIOCSIFFLAGS, request)
    finally:
        sock.close()
