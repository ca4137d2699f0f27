"""The one nftables table, ``inet pysup``, as text for libnftables (nft(8)). Pure.

A network is a few chains and elements, a published port is one element: so both come and go by transactions that
touch nothing else. Chains and priorities, beside which other firewalls' tables stay as they are:

    guard          filter prerouting -300   nothing from outside, or from a container, reaches the host's loopback
    prerouting     nat dstnat (-100)        published ports, for whoever comes from elsewhere
    output         nat dstnat (-100)        published ports, for the host's own programs, on its loopback too, but
                                            on ::1 (network/relay.py)
    postrouting    nat srcnat (100)         masquerade
    forward        filter forward 0         isolation; what another firewall drops on this hook stays dropped
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import NamedTuple

TABLE = "inet pysup"
_CHAINS = ("from", "to")
_STRANGE = 'drop comment "not forwarded before pysup either: pysup daemon --ip-forward-no-drop"'
"""What becomes of that which is not ours, and why, for whoever looks at the rules."""
ANY = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - what a port is published on, not a socket


class Published(NamedTuple):
    """A port of the host that leads into a container."""

    protocol: str
    """``tcp``, ``udp`` or ``sctp``."""
    host_ip: str
    """An address of the host, or 0.0.0.0 or ::, which means all."""
    host_port: int
    address: str
    """The container's; of the same IP version, or IPv4 where it has no IPv6."""
    port: int

    @property
    def is_led(self) -> bool:
        """Whether rules lead it: not from one IP version to the other; that is carried (relay.py)."""
        return ip_version(self.host_ip) == ip_version(self.address)


class Ruled(NamedTuple):
    """A network, as the firewall sees it."""

    device: str
    """The bridge's name."""
    subnets: tuple[str, ...]
    internal: bool = False
    """No way out, and none in."""
    icc: bool = True
    """Whether its containers may talk to each other; what never passes the firewall, isolated ports stop
    (messages.set_port)."""
    masquerade: bool = True


def whole(
    networks: Iterable[Ruled],
    ports: Iterable[Published],
    *,
    guarded: Iterable[int] = (),
    spared: Iterable[str] = (),
) -> str:
    """Everything anew, in one transaction: whatever was there before.

    ``guarded``: the IP versions that the machine forwards for our networks alone, and for interfaces in ``spared``.
    """
    parts = [_BASE, *(add_network(network) for network in networks)]
    listed = tuple(ports)
    parts += [f"add rule {TABLE} strangers meta nfproto ipv{version} {_STRANGE}" for version in guarded]
    parts += [spare(name) for name in spared]
    if listed:
        parts.append(publish(listed))
    return "\n".join(parts)


_GUARDED = re.compile(r"nfproto ipv([46]) drop")


def guarded_in(strangers: str) -> frozenset[int]:
    """The IP versions that a table guards, by its chain of strangers as nft(8) lists it."""
    return frozenset(map(int, _GUARDED.findall(strangers)))


def spare(device: str) -> str:
    """Leave it to others what an interface forwards."""
    return f'add element {TABLE} spared {{ "{device}" }}'


def add_network(network: Ruled) -> str:
    """Begin to rule a network; one that is ruled already is ruled anew."""
    name = network.device
    lines = [f"add chain {TABLE} {verb}_{name}" for verb in _CHAINS]
    lines += [f"flush chain {TABLE} {verb}_{name}" for verb in _CHAINS]
    lines += [f"add rule {TABLE} {rule}" for rule in _rules(network)]
    lines += [f"add element {TABLE} {element}" for element in _elements(network)]
    return "\n".join(lines)


def _rules(network: Ruled) -> Sequence[str]:
    name = network.device
    among = f'to_{name} iifname "{name}" {"accept" if network.icc else "drop"}'
    if network.internal:
        return [f'from_{name} oifname != "{name}" drop', among, f"to_{name} drop"]
    return [f"to_{name} ct status dnat accept", among, f"to_{name} drop"]


def _elements(network: Ruled) -> Iterator[str]:
    name = network.device
    yield f'ours {{ "{name}" }}'
    yield f'from {{ "{name}" : jump from_{name} }}'
    yield f'to {{ "{name}" : goto to_{name} }}'
    yield from _subnets(network)


def _subnets(network: Ruled) -> Iterator[str]:
    for subnet in network.subnets:
        yield f"within{ip_version(subnet)} {{ {subnet} }}"
        if network.masquerade and not network.internal:
            yield f"masked{ip_version(subnet)} {{ {subnet} }}"


def remove_network(network: Ruled) -> str:
    """Stop ruling it; it must be there."""
    name = network.device
    elements = (f'ours {{ "{name}" }}', f'from {{ "{name}" }}', f'to {{ "{name}" }}', *_subnets(network))
    lines = [f"delete element {TABLE} {element}" for element in elements]
    lines += [f"delete chain {TABLE} {verb}_{name}" for verb in _CHAINS]
    return "\n".join(lines)


def publish(ports: Iterable[Published]) -> str:
    """Lead ports into a container."""
    return "\n".join(
        f"add element {TABLE} {map_of(port)} {{ {_key(port)} : {target(port)} }}"
        for port in ports
        if port.is_led
    )


def unpublish(ports: Iterable[Published]) -> str:
    """Take them back; they must be there."""
    return "\n".join(f"delete element {TABLE} {element(port)}" for port in ports if port.is_led)


def element(port: Published) -> str:
    """What leads a port, to find it by, or to take it away."""
    return f"{map_of(port)} {{ {_key(port)} }}"


def map_of(port: Published) -> str:
    """The map that leads it."""
    version = ip_version(port.address)
    return f"{'any' if port.host_ip == ANY[version] else 'at'}{version}"


def _key(port: Published) -> str:
    place = "" if port.host_ip == ANY[ip_version(port.address)] else f"{port.host_ip} . "
    return f"{place}{port.protocol} . {port.host_port}"


def target(port: Published) -> str:
    """Where a port leads, as the map has it."""
    return f"{port.address} . {port.port}"


def ip_version(text: str) -> int:
    """4 or 6, of an address or a subnet."""
    return ip_address(text.partition("/")[0]).version


# What most packets are decides first (a connection that is established; no address of the loopback): where br_netfilter
# is on, each packet between two containers of one bridge passes these chains, and names of interfaces are dear.
_BASE = f"""\
add table {TABLE}
delete table {TABLE}
table {TABLE} {{
    map any4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
    map at4 {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
    map any6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
    map at6 {{ type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }}
    set ours {{ type ifname; }}
    set spared {{ type ifname; }}
    map from {{ type ifname : verdict; }}
    map to {{ type ifname : verdict; }}
    set within4 {{ type ipv4_addr; flags interval; }}
    set within6 {{ type ipv6_addr; flags interval; }}
    set masked4 {{ type ipv4_addr; flags interval; }}
    set masked6 {{ type ipv6_addr; flags interval; }}
    chain publish {{
        dnat ip to ip daddr . meta l4proto . th dport map @at4
        dnat ip to meta l4proto . th dport map @any4
        dnat ip6 to ip6 daddr . meta l4proto . th dport map @at6
        dnat ip6 to meta l4proto . th dport map @any6
    }}
    chain guard {{
        type filter hook prerouting priority -300; policy accept;
        ip daddr 127.0.0.0/8 iifname != "lo" drop
    }}
    chain prerouting {{
        type nat hook prerouting priority -100; policy accept;
        fib daddr type local jump publish
    }}
    chain output {{
        type nat hook output priority -100; policy accept;
        ip6 daddr ::1 return
        fib daddr type local jump publish
    }}
    chain postrouting {{
        type nat hook postrouting priority 100; policy accept;
        ip saddr 127.0.0.0/8 oifname != "lo" ct status dnat masquerade
        ip saddr @within4 oifname @ours ct status dnat masquerade
        ip6 saddr @within6 oifname @ours ct status dnat masquerade
        ip saddr @masked4 oifname != @ours masquerade
        ip6 saddr @masked6 oifname != @ours masquerade
    }}
    chain forward {{
        type filter hook forward priority 0; policy accept;
        ct state established,related accept
        iifname vmap @from
        oifname vmap @to
        iifname @ours accept
        jump strangers
    }}
    chain strangers {{
        iifname @spared accept
        oifname @spared accept
    }}
}}"""
