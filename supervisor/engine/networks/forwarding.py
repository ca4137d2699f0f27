"""The machine's forwarding, without which no container reaches another network: switched on, and kept on, for us alone.

What the machine did not forward before is dropped (``strangers`` of network/rules.py). Which versions of IP those are
is noted in a file below --run, which lives as long as the switch does: a table that somebody flushed tells nothing.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.network.addresses import IPV4, IPV6

_ALL = {IPV4: "ipv4/ip_forward", IPV6: "ipv6/conf/all/forwarding"}
_ONE = "ipv4/conf/{}/forwarding"
"""IPv6 has one switch for all (ip-sysctl.rst): that of an interface is for its own addresses."""


class Forwarding:
    """One for each daemon, in its network namespace."""

    def __init__(self, note: str, *, drops: bool) -> None:
        """``note``: the file's path. ``drops``: whether what was not forwarded before is dropped."""
        self._note = note
        self._drops = drops
        self._ours = _read(note)
        """The versions that were off before, and are on for us."""

    @property
    def guarded(self) -> frozenset[int]:
        """The versions of IP of which the firewall drops what is not ours."""
        return self._ours if self._drops else frozenset()

    def is_on(self, version: int) -> bool:
        """Whether the machine forwards."""
        return _get(_ALL[version]) != "0"

    def claim(self, version: int) -> None:
        """It is about to be switched on for us. To be noted, and guarded, before it is. Raises Unavailable."""
        if version not in self._ours:
            _write(self._note, self._ours | {version})
            self._ours |= {version}

    def switch_on(self, version: int) -> None:
        """Raises Unavailable."""
        set_sysctl(_ALL[version], "1")


def sysctl_of(version: int) -> str:
    """Its name, for people."""
    return _dotted(_ALL[version])


def is_switched_off(device: str) -> bool:
    """Whether an interface forwards nothing by IPv4, though the machine does."""
    return _get(_ONE.format(device)) == "0"


def switch_device_on(device: str) -> str:
    """Let an interface forward again; the sysctl's name, for people. Raises Unavailable."""
    set_sysctl(_ONE.format(device), "1")
    return _dotted(_ONE.format(device))


# -- the note ------------------------------------------------------------------------------------------------


def _life() -> list[object]:
    """The boot and the network namespace that the switches are of."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return [file.read().strip(), os.stat("/proc/self/ns/net").st_ino]


def _read(path: str) -> frozenset[int]:
    with suppress(OSError, ValueError), open(path, encoding="ascii") as file:
        found = json.load(file)
        if isinstance(found, dict) and found.get("life") == _life():
            return frozenset(found["versions"])
    return frozenset()


def _write(path: str, versions: frozenset[int]) -> None:
    """By a rename: a crash leaves the old one or the new one."""
    try:
        with open(f"{path}.new", "w", encoding="ascii") as file:
            json.dump({"life": _life(), "versions": sorted(versions)}, file)
        os.replace(f"{path}.new", path)
    except OSError as error:
        raise Unavailable(f"cannot write {path}: {error.strerror}") from error


# -- sysctls -------------------------------------------------------------------------------------------------


def _get(name: str) -> str:
    """Empty: there is none, of an interface that has gone or an IP version that the kernel has not."""
    try:
        with open(f"/proc/sys/net/{name}", encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def set_sysctl(name: str, value: str) -> None:
    """sysctl(8) of the daemon's network namespace. Raises Unavailable."""
    try:
        with open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
            file.write(value)
    except OSError as error:
        raise Unavailable(f"cannot set {_dotted(name)} to {value}: {error.strerror}") from error


def _dotted(name: str) -> str:
    """As sysctl(8) writes it; what is a dot in an interface's name is a slash there."""
    return "net." + name.translate({ord("/"): ".", ord("."): "/"})
