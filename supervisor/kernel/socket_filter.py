"""Which netlink messages wake a socket's owner: a classic BPF program (SO_ATTACH_FILTER, socket(7); filter.rst)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

from pysup.supervisor.kernel import libc

_SO_ATTACH_FILTER = 26
_INSTRUCTION = struct.Struct("=HBBI")
"""struct sock_filter: code, jump if true, jump if false, operand."""
_LOAD_HALF, _JUMP_IF_EQUAL, _RETURN = 0x28, 0x15, 0x06
_TYPE_AT = 4
"""Of nlmsg_type in struct nlmsghdr, netlink(7)."""
_ALL = 0xFFFFFFFF


def accept_types(sock: socket.socket, types: Sequence[int]) -> None:
    """Let a netlink socket receive messages of these types only. Raises OSError."""
    steps = [_INSTRUCTION.pack(_LOAD_HALF, 0, 0, _TYPE_AT)]
    for left, kind in zip(range(len(types), 0, -1), types, strict=True):
        steps.append(_INSTRUCTION.pack(_JUMP_IF_EQUAL, left, 0, _as_loaded(kind)))
    steps += [_INSTRUCTION.pack(_RETURN, 0, 0, 0), _INSTRUCTION.pack(_RETURN, 0, 0, _ALL)]
    code = libc.buffer_of(b"".join(steps))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(steps), libc.address(code)))


def _as_loaded(kind: int) -> int:
    """The program reads big-endian numbers, and netlink has the machine's order."""
    return int.from_bytes(struct.pack("=H", kind), "big")
