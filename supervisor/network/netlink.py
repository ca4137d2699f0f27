"""A netlink socket on trio (netlink(7)): requests with an acknowledgement each, several in one packet, and dumps.

One socket belongs to one network namespace for ever, so a socket that was made in a container's serves that one.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import trio

from pysup.supervisor.kernel import netns
from pysup.supervisor.kernel.nlmsg import HEADER, Received, split

T = TypeVar("T")

_ERRNO = struct.Struct("=i")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR, _DONE = 2, 3
_DUMP_INTERRUPTED = 0x10
_ACK_TLVS = 0x200
_ACK_MESSAGE = 1
"""NLMSGERR_ATTR_MSG: the kernel's own words about an error."""
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_LARGEST = 1 << 18


class Message(NamedTuple):
    """One request, encoded but for its sequence number, and what it does, for an error's text."""

    data: bytes
    told: str


class NetlinkError(OSError):
    """The kernel refused a request. ``told`` is what it was to do, ``strerror`` the cause."""

    def __init__(self, number: int, told: str, cause: str = "") -> None:
        plain = os.strerror(number)
        super().__init__(number, f"{cause} ({plain})" if cause else plain)
        self.told = told

    def __str__(self) -> str:
        return f"cannot {self.told}: {self.strerror}"


class Netlink:
    """A context; made in the network namespace of a descriptor, or in that of the daemon."""

    def __init__(self, namespace: int | None = None) -> None:
        self._socket = netns.run_inside(namespace, _open)
        self._busy = trio.Lock()
        self._number = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()

    async def ask(self, *messages: Message) -> None:
        """Have all of them done, in their order. Raises NetlinkError for the first that was refused."""
        for failure in await self.attempt(*messages):
            if failure is not None:
                raise failure

    async def attempt(self, *messages: Message) -> list[NetlinkError | None]:
        """The same; what came of each. One that is refused does not keep the next from being tried."""
        async with self._busy:
            first = self._number + 1
            if not messages:
                return []
            await self._send(messages)
            results: list[NetlinkError | None] = [None] * len(messages)
            waiting = set(range(len(messages)))
            while waiting:
                for answer in await self._packet():
                    index = answer.number - first
                    if answer.kind == _ERROR and index in waiting:
                        waiting.discard(index)
                        results[index] = _failure(answer, messages[index].told)
            return results

    async def dump(self, message: Message, read: Callable[[bytes], T]) -> list[T]:
        """All answers to a request with NLM_F_DUMP, each decoded by ``read``. Raises NetlinkError."""
        async with self._busy:
            while True:
                await self._send((message,))
                found, interrupted = await self._answers(message, read)
                if not interrupted:
                    return found

    async def _answers(self, message: Message, read: Callable[[bytes], T]) -> tuple[list[T], bool]:
        found: list[T] = []
        interrupted = False
        while True:
            for answer in await self._packet():
                if answer.number != self._number:
                    continue
                interrupted |= bool(answer.flags & _DUMP_INTERRUPTED)
                if answer.kind == _DONE:
                    return found, interrupted
                if answer.kind == _ERROR:
                    raise _failure(answer, message.told) or NetlinkError(0, message.told)
                found.append(read(answer.whole))

    async def _send(self, messages: Sequence[Message]) -> None:
        packed = bytearray()
        for message in messages:
            self._number += 1
            at = len(packed)
            packed += message.data
            struct.pack_into("=I", packed, at + 8, self._number)
        while True:
            try:
                self._socket.send(packed)
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)
            else:
                return

    async def _packet(self) -> list[Received]:
        return list(split(await self._receive()))

    async def _receive(self) -> bytes:
        while True:
            try:
                return self._socket.recv(_LARGEST)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._socket)


def _open() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    made = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
    try:
        made.bind((0, 0))
        for option in (_CAP_ACK, _EXT_ACK):
            made.setsockopt(_SOL_NETLINK, option, 1)
    except BaseException:
        made.close()
        raise
    return made


def _failure(answer: Received, told: str) -> NetlinkError | None:
    (number,) = _ERRNO.unpack_from(answer.data)
    if number == 0:
        return None
    cause = ""
    if answer.flags & _ACK_TLVS:  # behind the header of the request, which CAP_ACK leaves of it
        found = dict(attributes(answer.data[_ERRNO.size + HEADER.size :]))
        cause = found.get(_ACK_MESSAGE, b"").rstrip(b"\0").decode(errors="replace")
    return NetlinkError(-number, told, cause)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute (struct nlattr), the flags of the type taken off."""
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += -(-length // 4) * 4
