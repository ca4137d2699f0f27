"""DNS over a stream: each message behind its length (RFC 1035, 4.2.2)."""

from __future__ import annotations

import struct

import trio

_LENGTH = struct.Struct("!H")


async def read(stream: trio.abc.ReceiveStream) -> bytes | None:
    """The next message; None: there is no whole one any more. Raises trio.BrokenResourceError."""
    head = await _exactly(stream, _LENGTH.size)
    return None if head is None else await _exactly(stream, *_LENGTH.unpack(head))


async def _exactly(stream: trio.abc.ReceiveStream, size: int) -> bytes | None:
    got = bytearray()
    while len(got) < size:
        some = await stream.receive_some(size - len(got))
        if not some:
            return None
        got += some
    return bytes(got)


async def write(stream: trio.abc.SendStream, message: bytes) -> None:
    """Send one of at most 65535 bytes. Raises trio.BrokenResourceError."""
    await stream.send_all(_LENGTH.pack(len(message)) + message)
