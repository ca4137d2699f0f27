"""Which netlink messages wake a socket's owner: a classic BPF program (SO_ATTACH_FILTER, socket(7); filter.rst)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pysup.supervisor.kernel import libc

_SO_ATTACH_FILTER = 26
_INSTRUCTION = struct.Struct("=HBBI")
"""struct sock_filter: code, jump if true, jump if false, operand."""
_LOAD_WORD, _LOAD_HALF, _AND, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x28, 0x54, 0x15, 0x06
_TYPE_AT = 4
"""Of nlmsg_type in struct nlmsghdr, netlink(7)."""
_ALL = 0xFFFFFFFF


class Word(NamedTuple):
    """What 32 bits of a message must be."""

    at: int
    """Bytes from the message's begin, its header included."""
    value: int
    mask: int = _ALL
    """The bits that count."""


class Wanted(NamedTuple):
    """Messages of one type in which all these words are so. A message that is too short is none."""

    kind: int
    words: tuple[Word, ...] = ()


def accept(sock: socket.socket, wanted: Iterable[Wanted]) -> None:
    """Let a netlink socket receive these messages only. Raises OSError."""
    steps = [step for one in wanted for step in _steps(one)]
    steps.append(_INSTRUCTION.pack(_RETURN, 0, 0, 0))
    code = libc.buffer_of(b"".join(steps))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(steps), libc.address(code)))


def _steps(one: Wanted) -> Sequence[bytes]:
    """Each test that fails jumps behind the last step, where the next kind of message is looked for."""
    plain = [(_LOAD_HALF, _TYPE_AT), (_JUMP_IF_EQUAL, _loaded(one.kind, "H"))]
    for word in one.words:
        plain += [(_LOAD_WORD, word.at), (_AND, _loaded(word.mask, "I"))]
        plain.append((_JUMP_IF_EQUAL, _loaded(word.value, "I")))
    plain.append((_RETURN, _ALL))
    return [
        _INSTRUCTION.pack(code, 0, len(plain) - at - 1 if code == _JUMP_IF_EQUAL else 0, operand)
        for at, (code, operand) in enumerate(plain)
    ]


def _loaded(number: int, form: str) -> int:
    """The program reads big-endian numbers, and netlink has the machine's order."""
    return int.from_bytes(struct.pack(f"={form}", number), "big")
