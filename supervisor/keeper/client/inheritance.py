"""What an engine begins with: it takes duplicates of all that the keeper holds before it imports anything big.

Those imports take half a second. From then on, too, the keeper may be killed: this engine has what it needs to take
its place (Link.run() sees the end of the stream). Standard library and kernel/ only, as in the keeper's own modules.
"""

from __future__ import annotations

import _socket
import argparse
import contextlib
from typing import NamedTuple

from pysup.supervisor.keeper import codec
from pysup.supervisor.keeper.protocol import List, Listed, Message
from pysup.supervisor.kernel.files import keep_private
from pysup.supervisor.settings import Settings


class Packet(NamedTuple):
    """A message of the keeper with its descriptors."""

    message: Message
    fds: list[int]


class Inherited(NamedTuple):
    """What the keeper hands to its engine."""

    settings: Settings
    keeper: _socket.socket
    said: list[Packet]
    """What the keeper has said on it already: all that it holds."""
    listen_fd: int
    lock_fd: int


def inherit(arguments: list[str] | None = None) -> Inherited:
    """Read the command line that keeper/engine.py makes, and take over. Blocks for as long as the keeper takes."""
    parser = argparse.ArgumentParser(prog="pysup-engine")
    for name in ("--keeper-fd", "--listen-fd", "--lock-fd"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--settings", type=Settings.from_json, required=True)
    found = parser.parse_args(arguments)
    for fd in (found.keeper_fd, found.listen_fd, found.lock_fd):
        keep_private(fd)
    keeper = _socket.socket(fileno=found.keeper_fd)
    return Inherited(found.settings, keeper, take_over(keeper), found.listen_fd, found.lock_fd)


def take_over(keeper: _socket.socket) -> list[Packet]:
    """All that the keeper says up to the end of its list; up to its own end, if it is killed meanwhile.

    What it had said before anybody asked (Stop) is there even then.
    """
    said: list[Packet] = []
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        codec.send(keeper, List())
    with contextlib.suppress(ConnectionResetError):
        while (received := codec.receive(keeper, codec.BLOCKING)) is not None:
            said.append(Packet(*received))
            if isinstance(received[0], Listed):
                break
    return said
