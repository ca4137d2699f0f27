from __future__ import annotations

from pysup.supervisor.runtime.traffic import Traffic, parse, traffic_of

TEXT = """Inter-|   Receive                                       |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo:  100       2    0    0    0     0          0         0   100       2    0    0    0     0       0          0
  eth0:1296       16    1    2    0     0          0         0   936      12    3    4    0     0       0          0
"""


def test_each_interface_but_the_loopback() -> None:
    assert parse(TEXT) == {"eth0": Traffic(1296, 16, 1, 2, 936, 12, 3, 4)}


def test_a_process_that_has_ended_has_none() -> None:
    assert traffic_of(1 << 30) == {}
