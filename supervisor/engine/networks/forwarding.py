"""The machine's forwarding, without which no container reaches another network: switched on, and kept on, for us alone.

What the machine did not forward before is dropped (``strangers`` of network/rules.py). Which versions of IP those are
is noted in a file below --run, which lives as long as the switch does: a table that somebody flushed tells nothing.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.network.addresses import IPV4, IPV6
from pysup.supervisor.network.inside import run_inside

log = logging.getLogger(__name__)

_ALL = {IPV4: "ipv4/ip_forward", IPV6: "ipv6/conf/all/forwarding"}
_ONE = "ipv4/conf/{}/forwarding"
"""IPv6 has one switch for all (ip-sysctl.rst): that of an interface is for its own addresses."""


class Forwarding:
    """One for each daemon, in the network namespace of its bridges."""

    def __init__(self, note: str, home: int | None, *, drops: bool) -> None:
        """``note``: the file's path. ``home``: a descriptor of the namespace; None: the daemon's own.

        ``drops``: whether what was not forwarded before is dropped.
        """
        self._note = note
        self._home = home
        self._drops = drops
        self._life = _life_of(home)
        self._ours = self._read()
        """The versions that were off before, and are on for us."""

    @property
    def guarded(self) -> frozenset[int]:
        """The versions of IP of which the firewall drops what is not ours."""
        return self._ours if self._drops else frozenset()

    async def is_on(self, version: int) -> bool:
        """Whether the machine forwards."""
        return await _get(_ALL[version], self._home) != "0"

    @contextmanager
    def claimed(self, versions: Iterable[int]) -> Iterator[None]:
        """In the block these are guarded first, and then switched on for us. If it fails, all is as before.

        It is noted before: a crash in the block costs at most a guard too many. Raises Unavailable.
        """
        before = self._ours
        self._claim(before.union(versions))
        try:
            yield
        except BaseException:
            self._claim(before)
            raise

    def _claim(self, versions: frozenset[int]) -> None:
        if versions != self._ours:
            self._write(versions)
            self._ours = versions

    async def switch_on(self, version: int) -> None:
        """Raises Unavailable."""
        await set_sysctl(_ALL[version], "1", self._home)

    # -- the note --------------------------------------------------------------------------------------------

    def _read(self) -> frozenset[int]:
        """A note of another life tells nothing, and a damaged one no more than none."""
        try:
            with open(self._note, encoding="ascii") as file:
                found = json.load(file)
            if found["life"] == self._life:
                return frozenset(_ALL).intersection(found["versions"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, LookupError, TypeError) as error:
            log.warning("%s is taken for absent: %s: %s", self._note, type(error).__name__, error)
        return frozenset()

    def _write(self, versions: frozenset[int]) -> None:
        """By a rename: a crash leaves the old one or the new one."""
        try:
            with open(f"{self._note}.new", "w", encoding="ascii") as file:
                json.dump({"life": self._life, "versions": sorted(versions)}, file)
            os.replace(f"{self._note}.new", self._note)
        except OSError as error:
            raise Unavailable(f"cannot write {self._note}: {error.strerror}") from error


def _life_of(home: int | None) -> list[object]:
    """The boot and the network namespace that the switches are of."""
    namespace = os.stat("/proc/thread-self/ns/net") if home is None else os.fstat(home)
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return [file.read().strip(), namespace.st_ino]


def sysctl_of(version: int) -> str:
    """Its name, for people."""
    return _dotted(_ALL[version])


async def is_switched_off(device: str, home: int | None) -> bool:
    """Whether an interface forwards nothing by IPv4, though the machine does."""
    return await _get(_ONE.format(device), home) == "0"


async def switch_device_on(device: str, home: int | None) -> str:
    """Let an interface forward again; the sysctl's name, for people. Raises Unavailable."""
    await set_sysctl(_ONE.format(device), "1", home)
    return _dotted(_ONE.format(device))


# -- sysctls -------------------------------------------------------------------------------------------------


async def _get(name: str, home: int | None) -> str:
    """Empty: there is none, of an interface that has gone or an IP version that the kernel has not."""
    try:
        text = await run_inside(home, Path(f"/proc/sys/net/{name}").read_text)
    except FileNotFoundError:
        return ""
    return text.strip()


async def set_sysctl(name: str, value: str, home: int | None) -> None:
    """sysctl(8) of a network namespace. Raises Unavailable."""
    try:
        await run_inside(home, partial(Path(f"/proc/sys/net/{name}").write_text, value))
    except OSError as error:
        raise Unavailable(f"cannot set {_dotted(name)} to {value}: {error.strerror}") from error


def _dotted(name: str) -> str:
    """As sysctl(8) writes it; what is a dot in an interface's name is a slash there."""
    return "net." + name.translate({ord("/"): ".", ord("."): "/"})
