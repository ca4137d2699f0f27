"""Messages to packets and back, with their descriptors. Every length and type is checked on both ways.

A packet that breaks a rule raises ProtocolError and leaves no descriptor open; nothing is cut or guessed
(CVE-2021-43784 is what comes of a length that is not checked). unix(7), cmsg(3).
"""

from __future__ import annotations

import _socket
import errno
import json
import os
import struct
from collections.abc import Callable, Iterable, Sequence

from pysup.supervisor.keeper.protocol import (
    MAX_FDS,
    MAX_KEY,
    MAX_MESSAGE,
    TYPES,
    Exited,
    Held,
    Hold,
    List,
    Listed,
    Message,
    Order,
    ProtocolError,
    Ready,
    Reap,
    Release,
    Shutdown,
    Spawn,
    Spawned,
    SpawnFailed,
    Stop,
    Upgrade,
)

_INT = struct.Struct("=i")
_LARGEST = (1 << 63) - 1
_SEND = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL
_RECEIVE = _socket.MSG_DONTWAIT | _socket.MSG_CMSG_CLOEXEC
BLOCKING = _socket.MSG_CMSG_CLOEXEC

Check = Callable[[object], bool]


def _key(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_KEY


def _text(value: object) -> bool:
    return isinstance(value, str)


def _number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST


def _number_or_none(value: object) -> bool:
    return value is None or _number(value)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _names(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_FDS
        and all(map(_key, value))
        and len(set(value)) == len(value)
    )


SHAPES: dict[type[Message], tuple[Check, ...]] = {
    Spawn: (_key, _number, _names, _names, _text, _text, _flag, _text, _flag),
    Order: (_key, _number, _number),
    Reap: (_key,),
    Hold: (_key, _names),
    Release: (_key, _names),
    List: (),
    Ready: (),
    Upgrade: (),
    Shutdown: (_number,),
    Spawned: (_key, _number),
    SpawnFailed: (_key, _text, _number, _text),
    Exited: (_key, _number),
    Held: (_key, _number, _number_or_none, _names),
    Listed: (),
    Stop: (_number,),
}
"""What each field of each message must be, in the order of the fields."""


def attached(message: Message) -> int:
    """How many descriptors travel with a message."""
    if isinstance(message, Spawn):
        return len(message.fds) + len(message.hold)
    if isinstance(message, Hold):
        return len(message.names)
    if isinstance(message, Held):
        return len(message.names) + (message.pid != 0)
    return int(isinstance(message, (Spawned, Order)))


def encode(message: Message) -> bytes:
    """Encode a message. Raises ProtocolError if it breaks a rule of the protocol."""
    _check(message)
    packet = json.dumps([type(message).__name__, *message], separators=(",", ":")).encode()
    if len(packet) > MAX_MESSAGE:
        raise ProtocolError(f"{type(message).__name__} takes {len(packet)} bytes, more than {MAX_MESSAGE}")
    return packet


def decode(packet: bytes) -> Message:
    """Decode a packet. Raises ProtocolError, and nothing else, for what is not a message."""
    if len(packet) > MAX_MESSAGE:
        raise ProtocolError(f"a packet of {len(packet)} bytes, more than {MAX_MESSAGE}")
    try:
        fields = json.loads(packet)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {error}") from None
    if not isinstance(fields, list) or not fields or not isinstance(fields[0], str) or fields[0] not in TYPES:
        raise ProtocolError("an unknown message")
    return _build(TYPES[fields[0]], fields[1:])


def _build(kind: type[Message], fields: list[object]) -> Message:
    if len(fields) != len(SHAPES[kind]):
        raise ProtocolError(f"{kind.__name__} with {len(fields)} fields")
    message: Message = kind(*fields)  # type: ignore[arg-type]
    _check(message)
    return message


def _check(message: Message) -> None:
    """Check each field's type, and that the descriptors fit in one packet."""
    kind = type(message)
    for name, value, check in zip(kind._fields, message, SHAPES[kind], strict=True):
        if not check(value):
            raise ProtocolError(f"{kind.__name__}.{name} is wrong")
    if attached(message) > MAX_FDS:
        raise ProtocolError(f"{kind.__name__} with {attached(message)} descriptors, more than {MAX_FDS}")


def send(sock: _socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Send one message without blocking. Raises BlockingIOError if the other end is behind."""
    packet = encode(message)
    if len(fds) != attached(message):
        raise ProtocolError(f"{type(message).__name__} with {len(fds)} descriptors for {attached(message)}")
    send_packet(sock, packet, fds)


def send_packet(sock: _socket.socket, packet: bytes, fds: Sequence[int]) -> None:
    """Send an encoded message. An answer to a process that is gone raises BrokenPipeError or its kin."""
    ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"={len(fds)}i", *fds))] if fds else []
    try:
        sock.sendmsg([packet], ancillary, _SEND)
    except OSError as error:
        if error.errno in (errno.ENOBUFS, errno.ETOOMANYREFS):
            raise BlockingIOError(error.errno, error.strerror) from error
        raise


def receive(sock: _socket.socket, wanted: int = _RECEIVE) -> tuple[Message, list[int]] | None:
    """Receive one message with its descriptors (close-on-exec), None at the end of the stream. Does not
    block, unless ``wanted`` is BLOCKING.
    """
    try:
        packet, fds, flags = receive_packet(sock, MAX_MESSAGE + 1, MAX_FDS, wanted)
    except ConnectionResetError:  # who left had not read all: that is told once, before his last words
        packet, fds, flags = receive_packet(sock, MAX_MESSAGE + 1, MAX_FDS, wanted)
    if not packet and not fds:
        return None
    try:
        return _received(packet, flags, len(fds)), fds
    except ProtocolError:
        close_all(fds)
        raise


def receive_packet(
    sock: _socket.socket, size: int, most_fds: int, wanted: int = _RECEIVE
) -> tuple[bytes, list[int], int]:
    """One packet, its descriptors (close-on-exec) and the flags of recvmsg(2). Does not block, unless ``wanted`` so.

    socket.recv_fds() would: up to Python 3.11 it drops the flags that it is given.
    """
    space = _socket.CMSG_SPACE(most_fds * _INT.size)
    packet, ancillary, flags, _address = sock.recvmsg(size, space, wanted)
    return packet, [fd for level, kind, data in ancillary for fd in _descriptors(level, kind, data)], flags


def _received(packet: bytes, flags: int, count: int) -> Message:
    if flags & (_socket.MSG_TRUNC | _socket.MSG_CTRUNC):
        raise ProtocolError("a packet that is too long, or with too many descriptors")
    message = decode(packet)
    if attached(message) != count:
        raise ProtocolError(f"{type(message).__name__} came with {count} descriptors")
    return message


def _descriptors(level: int, kind: int, data: bytes) -> list[int]:
    if (level, kind) != (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
        return []
    return [number for (number,) in _INT.iter_unpack(data[: len(data) - len(data) % _INT.size])]


def close_all(fds: Iterable[int]) -> None:
    """Close descriptors that were received."""
    for fd in fds:
        os.close(fd)
