"""What the interfaces of a process's network namespace have carried (proc_pid_net(5), /proc/PID/net/dev)."""

from __future__ import annotations

from typing import NamedTuple

_LOOPBACK = "lo"


class Traffic(NamedTuple):
    """One interface, since it was made; the names are docker's."""

    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


def traffic_of(pid: int) -> dict[str, Traffic]:
    """By interface, without the loopback; none if the process has ended."""
    try:
        with open(f"/proc/{pid}/net/dev", encoding="ascii", errors="replace") as file:
            return parse(file.read())
    except OSError:
        return {}


def parse(text: str) -> dict[str, Traffic]:
    """Two lines of heading, then ``eth0: bytes packets errs drop … bytes packets errs drop …``, eight of each."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, figures = line.partition(":")
        counts = [int(figure) for figure in figures.split()]
        found[name.strip()] = Traffic(*counts[:4], *counts[8:12])
    found.pop(_LOOPBACK, None)
    return found
