"""Routes as /proc/net shows them."""

from __future__ import annotations

from ipaddress import ip_network

from pysup.supervisor.network.routes import read_v4, read_v6

V4 = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0002A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
pysup0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""
_NOWHERE = "0" * 32
V6 = f"""\
fd{"0" * 30} 40 {_NOWHERE} 00 {_NOWHERE} 00000100 00000001 00000000 00000001     eth0
fe8{"0" * 29} 40 {_NOWHERE} 00 {_NOWHERE} 00000100 00000001 00000000 00000001     eth0
{"0" * 31}1 80 {_NOWHERE} 00 {_NOWHERE} 00000000 00000003 00000000 80200001       lo
"""


def test_what_is_reached_without_the_default_route_is_occupied() -> None:
    assert read_v4(V4) == [ip_network("192.168.2.0/24"), ip_network("172.17.0.0/16")]
    assert read_v4(V4, "pysup0") == [ip_network("192.168.2.0/24")]
    assert read_v6(V6) == [ip_network("fd00::/64")]
    assert read_v4("") == read_v6("") == []
