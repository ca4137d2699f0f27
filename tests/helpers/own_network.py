"""A network namespace of the tests' own: what their daemons make in it goes with it, the machine's stays as it is."""

from __future__ import annotations

import os
import socket
import subprocess

from pysup.supervisor.kernel import net, process
from pysup.supervisor.network import owner

_OWN = "/proc/thread-self/ns/net"
_OUTSIDE = os.stat(_OWN).st_ino
"""The namespace in which this process began, which nothing of the tests may touch."""


def is_outside() -> bool:
    """Whether the calling thread is still where the process began."""
    return os.stat(_OWN).st_ino == _OUTSIDE


def enter() -> None:
    """Leave for a new one with lo up, unless that was done; threads and children begin where their maker is."""
    if is_outside():
        process.unshare(process.CLONE_NEWNET)
        net.loopback_up()


def clear() -> None:
    """Remove the bridges and the rules that a daemon leaves for its next start, unless another one has them."""
    devices = [name for _, name in socket.if_nameindex() if name.startswith(("pysup", "br-"))]
    if devices and owner.owner() is not None:
        return
    for device in devices:
        subprocess.run(["ip", "link", "delete", device], check=True)
    if devices:
        subprocess.run(["nft", "delete", "table", "inet", "pysup"], check=False, capture_output=True)
