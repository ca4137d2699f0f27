"""Parts of the kernel that networks are made of, and what is said where one is missing. Pure."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import NamedTuple


class Part(NamedTuple):
    """Something that a kernel may lack: a module that is not installed, or an option that it was built without."""

    what: str
    """``bridges``"""
    module: str
    """For modprobe(8)."""
    option: str
    """Of the kernel's configuration."""
    trial: str = ""
    """A rule, or a chain, that takes this part; {table} is what it is in. Empty: it is a kind of interface."""

    def __str__(self) -> str:
        return f"{self.what} (module {self.module}, {self.option})"


LINKS = {
    "bridge": Part("bridges", "bridge", "CONFIG_BRIDGE"),
    "veth": Part("veth pairs", "veth", "CONFIG_VETH"),
    "macvlan": Part("macvlan", "macvlan", "CONFIG_MACVLAN"),
    "ipvlan": Part("ipvlan", "ipvlan", "CONFIG_IPVLAN"),
    "vlan": Part("VLANs", "8021q", "CONFIG_VLAN_8021Q"),
}
"""By the kind of interface, as rtnetlink(7) has it."""

NF_TABLES = Part("nftables", "nf_tables", "CONFIG_NF_TABLES_INET", "add table {table}")
NAT = Part(
    "nftables' nat chains", "nft_chain_nat", "CONFIG_NFT_NAT",
    "add chain {table} in {{ type nat hook prerouting priority -100; }}\n"
    "add chain {table} out {{ type nat hook postrouting priority 100; }}",
)  # fmt: skip
RULES = (
    Part("nftables' dnat", "nft_nat", "CONFIG_NFT_NAT", "add rule {table} in dnat ip to 192.0.2.1"),
    Part("nftables' masquerade", "nft_masq", "CONFIG_NFT_MASQ", "add rule {table} out masquerade"),
    Part("nftables' ct", "nft_ct", "CONFIG_NFT_CT", "add rule {table} in ct state established accept"),
    Part(
        "nftables' fib",
        "nft_fib_inet",
        "CONFIG_NFT_FIB_INET",
        "add rule {table} in fib daddr type local accept",
    ),
)
"""What rules are made of (rules.py); they are tried in chains of NAT, so they count only if those are there."""


def lacking(parts: Iterable[Part]) -> str:
    """The cause of an error: ``the kernel has no bridges (module bridge, CONFIG_BRIDGE)``."""
    return f"the kernel has no {', '.join(map(str, parts))}"


def refused_link(kind: str, number: int) -> str:
    """What is missing if the kernel refused to make an interface of this kind with this errno; empty: nothing is."""
    return lacking([LINKS[kind]]) if number == errno.EOPNOTSUPP else ""
