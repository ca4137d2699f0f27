"""Who owns the networks of a network namespace: whoever has made the nftables table ``inet pysup_owner`` there.

The kernel lets nobody else change a table that has an owner (NFT_TABLE_F_OWNER), and deletes it with the last
descriptor of the socket that has made it. So it is a lock of the network namespace, it goes with its holder, and only
somebody who may change rules there can have it: no ordinary user, and no container of the host's network. libnftables
opens a socket for each transaction, so what is said to the kernel is encoded here (linux/netfilter/nf_tables.h).
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from typing import NamedTuple

from pysup.supervisor.kernel.nftables import NETFILTER
from pysup.supervisor.kernel.nlmsg import HEADER, split
from pysup.supervisor.network.netlink import attributes

NAME = "pysup_owner"

_GENERIC = struct.Struct("=BBH")
"""struct nfgenmsg: family, version, resource in network order."""
_ATTRIBUTE = struct.Struct("=HH")
_ERRNO = struct.Struct("=i")
_INET = 1
_NFTABLES = 10
_NEW, _GET, _DELETE = (_NFTABLES << 8 | kind for kind in range(3))
_ERROR, _BEGIN, _END = 2, 16, 17
_REQUEST, _ACK, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x200, 0x400
_TABLE_NAME, _TABLE_FLAGS, _TABLE_DATA, _TABLE_OWNER = 1, 2, 6, 7
_OWNED = struct.pack("!I", 2)
_COMMENT = 0
LONGEST = 127
"""nft(8) keeps a table's comment in its user data: type, length, and a text of so many bytes that ends with a zero."""
_LARGEST = 1 << 16
_PROTOCOL, _PORT, _INODE = 1, 2, 9
"""Fields of a line of /proc/net/netlink."""


class Owner(NamedTuple):
    """Whoever owns the networks."""

    comment: str
    """What was said at claim()."""
    inode: str
    """The number of the socket that is held; empty: it cannot be found."""


def claim(comment: str) -> socket.socket:
    """Own the networks of the calling thread's network namespace for as long as the socket is open, or a duplicate.

    Raises PermissionError: somebody else owns them (owner() says who), or this process may not change rules; OSError.
    """
    sock = _open()
    try:
        new = _message(_NEW, _ACK | _CREATE | _EXCLUSIVE, _owned(comment))
        try:
            _ask(sock, _batch(new))
        except FileExistsError:  # one that nobody owns: somebody has loaded rules that he had saved
            _ask(sock, _batch(_message(_DELETE, 0), new))
    except BaseException:
        sock.close()
        raise
    return sock


def owner() -> Owner | None:
    """Who owns the networks of the calling thread's network namespace; None: nobody. Raises OSError."""
    with _open() as sock:
        try:
            found = dict(attributes(_ask(sock, _message(_GET, 0))[_GENERIC.size :]))
        except FileNotFoundError:
            return None
    port = found.get(_TABLE_OWNER)
    if port is None:
        return None
    comment = found.get(_TABLE_DATA, b"")[2:].rstrip(b"\0")
    return Owner(comment.decode(errors="replace"), _inode(int.from_bytes(port, "big")))


def _open() -> socket.socket:
    """The kernel answers before send(2) returns, so nobody waits."""
    made = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, NETFILTER
    )
    try:
        made.bind((0, 0))
    except BaseException:
        made.close()
        raise
    return made


def _owned(comment: str) -> bytes:
    text = comment.encode(errors="replace")[:LONGEST] + b"\0"
    return _attribute(_TABLE_FLAGS, _OWNED) + _attribute(_TABLE_DATA, bytes((_COMMENT, len(text))) + text)


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _message(kind: int, flags: int, more: bytes = b"") -> bytes:
    """A request about the table."""
    named = _attribute(_TABLE_NAME, NAME.encode() + b"\0")
    return _packed(kind, flags, _GENERIC.pack(_INET, 0, 0) + named + more)


def _batch(*messages: bytes) -> bytes:
    """One transaction."""
    whose = _GENERIC.pack(0, 0, socket.htons(_NFTABLES))
    return b"".join((_packed(_BEGIN, 0, whose), *messages, _packed(_END, 0, whose)))


def _packed(kind: int, flags: int, data: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(data), kind, flags | _REQUEST, 0, 0) + data


def _ask(sock: socket.socket, packet: bytes) -> bytes:
    """What the first answer has; of a transaction that is the first error, or else the only acknowledgement."""
    sock.send(packet)
    answer = next(split(sock.recv(_LARGEST)))
    if answer.kind == _ERROR and (number := -_ERRNO.unpack_from(answer.data)[0]):
        raise OSError(number, os.strerror(number))
    return answer.data


def _inode(port: int) -> str:
    with suppress(OSError), open("/proc/thread-self/net/netlink", encoding="ascii") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if (fields[_PROTOCOL], fields[_PORT]) == (str(NETFILTER), str(port)):
                return fields[_INODE]
    return ""
