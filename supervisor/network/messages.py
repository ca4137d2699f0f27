"""What is said to rtnetlink(7), encoded by pyroute2's message classes. Its import takes 0.3 s: late, in a thread."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ifinfmsg.plugins.ipvlan import ipvlan
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from pysup.supervisor.network.addresses import IPV4, Address, Network
from pysup.supervisor.network.netlink import Message

_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_NEWADDR, _GETADDR = 20, 22
_NEWROUTE, _GETROUTE = 24, 26
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_EXCLUSIVE, _CREATE, _REPLACE = 0x200, 0x400, 0x100
_UP = 1
_MAIN_TABLE, _BOOT, _UNIVERSE, _ON_LINK, _UNICAST = 254, 3, 0, 253, 1
_NODAD = 2
"""IFA_F_NODAD: addresses are leases, nobody else can have them."""

Attributes = list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface, as much of it as is needed."""

    index: int
    name: str
    kind: str
    """``bridge``, ``veth``, …; empty for a real one."""
    mac: str
    master: int
    """The index of its bridge; 0: none."""
    up: bool
    mark: str = ""
    """What set_mark() has said."""


def _encoded(kind: type, number: int, flags: int, fields: Mapping[str, int], attributes: Attributes) -> bytes:
    message = kind()
    for name, value in fields.items():
        message[name] = value
    message["attrs"] = attributes
    message["header"] = {"type": number, "flags": flags | _REQUEST, "sequence_number": 0, "pid": 0}
    message.encode()
    return bytes(message.data)


def _link(number: int, how: int, attributes: Attributes, told: str, **fields: int) -> Message:
    return Message(_encoded(ifinfmsg, number, how | _ACK, fields, attributes), told)


# -- links ---------------------------------------------------------------------------------------------------


def add_bridge(name: str, mac: str, mtu: int = 0) -> Message:
    """Make a bridge and bring it up. With a MAC of its own, it does not take that of its lowest port."""
    attributes: Attributes = [
        ("IFLA_IFNAME", name),
        ("IFLA_ADDRESS", mac),
        *([("IFLA_MTU", mtu)] if mtu else []),
        ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "bridge")]}),
    ]
    return _link(_NEWLINK, _CREATE | _EXCLUSIVE, attributes, f"add bridge {name}", flags=_UP, change=_UP)


def try_kind(kind: str) -> Message:
    """Make an interface, to see whether the kernel knows its kind; those that need a parent will not like ``lo``."""
    attributes: Attributes = [("IFLA_IFNAME", kind), ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", kind)]})]
    parent: Attributes = [("IFLA_LINK", 1)] if kind.endswith("vlan") else []
    return _link(_NEWLINK, _CREATE | _EXCLUSIVE, [*attributes, *parent], f"add an interface of kind {kind}")


@dataclass(frozen=True, slots=True)
class Peer:
    """The end of a pair that is inside."""

    name: str
    mac: str
    namespace: int
    """A descriptor of the container's network namespace, with which both ends will go."""


def add_veth(outer: str, bridge: int, peer: Peer, mtu: int = 0) -> Message:
    """Make a pair in one step, one end on the bridge and the other inside: there is no moment with half of it."""
    size: Attributes = [("IFLA_MTU", mtu)] if mtu else []
    own = [("IFLA_IFNAME", peer.name), ("IFLA_ADDRESS", peer.mac), *size, ("IFLA_NET_NS_FD", peer.namespace)]
    pair = {"attrs": [("VETH_INFO_PEER", {"attrs": own})]}
    attributes: Attributes = [
        ("IFLA_IFNAME", outer),
        ("IFLA_MASTER", bridge),
        *size,
        ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", pair)]}),
    ]
    return _link(
        _NEWLINK, _CREATE | _EXCLUSIVE, attributes, f"add interface {peer.name}", flags=_UP, change=_UP
    )


def set_port(outer: str, *, isolated: bool) -> Message:
    """What a port of a bridge does; to be sent behind add_veth() in the same packet.

    Hairpin: a frame may leave where it came in. Where bridged packets pass the firewall (br_netfilter), that is the
    way of a container to its own published port. Isolated: it talks to the host, not to other isolated ports.
    """
    data = {"attrs": [("IFLA_BRPORT_MODE", 1), ("IFLA_BRPORT_ISOLATED", int(isolated))]}
    info = {"attrs": [("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", data)]}
    attributes: Attributes = [("IFLA_IFNAME", outer), ("IFLA_LINKINFO", info)]
    return _link(_NEWLINK, 0, attributes, f"set up the port {outer}")


_IPVLAN_MODES = ("l2", "l3", "l3s")
"""enum ipvlan_mode of linux/if_link.h, in its order."""
_IPVLAN_FLAGS = ("bridge", "private", "vepa")
"""0, IPVLAN_F_PRIVATE and IPVLAN_F_VEPA, there."""


class _IpvlanData(ipvlan):  # type: ignore[misc]
    """Pyroute2's own has no flags (0.9.7), and leaves out what it does not know without a word."""

    nla_map = (*ipvlan.nla_map, ("IFLA_IPVLAN_FLAGS", "uint16"))


ifinfmsg.ifinfo.data_map["ipvlan"] = _IpvlanData


@dataclass(frozen=True, slots=True)
class Kind:
    """Of an interface beside another one."""

    name: str
    """``macvlan`` or ``ipvlan``."""
    mode: str
    flag: str = _IPVLAN_FLAGS[0]
    """Of an ipvlan."""


def add_beside(peer: Peer, parent: int, kind: Kind, mtu: int = 0) -> Message:
    """Make a ``macvlan`` of a parent, at once inside, or an ``ipvlan``, which has no MAC address of its own."""
    data: Attributes = [("IFLA_MACVLAN_MODE", kind.mode)]
    if kind.name == "ipvlan":
        data = [
            ("IFLA_IPVLAN_MODE", _IPVLAN_MODES.index(kind.mode)),
            ("IFLA_IPVLAN_FLAGS", _IPVLAN_FLAGS.index(kind.flag)),
        ]
    attributes: Attributes = [
        ("IFLA_IFNAME", peer.name),
        ("IFLA_LINK", parent),
        *([("IFLA_ADDRESS", peer.mac)] if peer.mac else []),
        *([("IFLA_MTU", mtu)] if mtu else []),
        ("IFLA_NET_NS_FD", peer.namespace),
        ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", kind.name), ("IFLA_INFO_DATA", {"attrs": data})]}),
    ]
    return _link(_NEWLINK, _CREATE | _EXCLUSIVE, attributes, f"add interface {peer.name}")


def add_vlan(name: str, parent: int, number: int) -> Message:
    """Make a VLAN of an interface, and bring it up."""
    data = {"attrs": [("IFLA_VLAN_ID", number)]}
    attributes: Attributes = [
        ("IFLA_IFNAME", name),
        ("IFLA_LINK", parent),
        ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "vlan"), ("IFLA_INFO_DATA", data)]}),
    ]
    return _link(_NEWLINK, _CREATE | _EXCLUSIVE, attributes, f"add VLAN {name}", flags=_UP, change=_UP)


def set_mark(name: str, mark: str) -> Message:
    """Say of an interface whose it is (``alias`` of ip-link(8)); to be sent behind what makes it."""
    return _link(_NEWLINK, 0, [("IFLA_IFNAME", name), ("IFLA_IFALIAS", mark)], f"mark interface {name}")


def set_up(index: int, name: str, mac: str = "", mtu: int = 0) -> Message:
    """Bring an interface up; with another address and size, if they are given."""
    attributes: Attributes = [("IFLA_ADDRESS", mac)] if mac else []
    attributes += [("IFLA_MTU", mtu)] if mtu else []
    return _link(_NEWLINK, 0, attributes, f"bring {name} up", index=index, flags=_UP, change=_UP)


def join_bridge(outer: str, bridge: int) -> Message:
    """Make an interface a port of a bridge."""
    attributes: Attributes = [("IFLA_IFNAME", outer), ("IFLA_MASTER", bridge)]
    return _link(_NEWLINK, 0, attributes, f"join {outer} to its bridge")


def delete_link(name: str) -> Message:
    """Delete an interface; of a pair, both ends."""
    return _link(_DELLINK, 0, [("IFLA_IFNAME", name)], f"delete interface {name}")


def list_links() -> Message:
    """Ask for all interfaces: read_link()."""
    return Message(_encoded(ifinfmsg, _GETLINK, _DUMP, {}, []), "list the interfaces")


def read_link(data: bytes) -> Link:
    """Decode one answer."""
    message = ifinfmsg(data)
    message.decode()
    info = message.get_attr("IFLA_LINKINFO")
    kind = info.get_attr("IFLA_INFO_KIND") if info is not None else ""
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME") or "",
        kind=kind or "",
        mac=message.get_attr("IFLA_ADDRESS") or "",
        master=message.get_attr("IFLA_MASTER") or 0,
        up=bool(message["flags"] & _UP),
        mark=message.get_attr("IFLA_IFALIAS") or "",
    )


# -- addresses and routes ------------------------------------------------------------------------------------


def add_address(index: int, address: Address, subnet: Network) -> Message:
    """Give an interface an address in its subnet; one that it has already is no error."""
    fields = {"family": _family(address), "prefixlen": subnet.prefixlen, "index": index}
    attributes: Attributes = [("IFA_LOCAL", str(address)), ("IFA_ADDRESS", str(address))]
    if address.version == IPV4:
        attributes.append(("IFA_BROADCAST", str(subnet.broadcast_address)))
    else:
        attributes.append(("IFA_FLAGS", _NODAD))
    flags = _CREATE | _REPLACE | _ACK
    return Message(_encoded(ifaddrmsg, _NEWADDR, flags, fields, attributes), f"add address {address}")


def list_addresses() -> Message:
    """Ask for all addresses: read_address()."""
    return Message(_encoded(ifaddrmsg, _GETADDR, _DUMP, {}, []), "list the addresses")


def read_address(data: bytes) -> int:
    """The index of the interface that has an address."""
    message = ifaddrmsg(data)
    message.decode()
    return int(message["index"])


def add_default_route(index: int, gateway: Address) -> Message:
    """Send what is for elsewhere to the gateway; if that is the unspecified address, out by the interface alone."""
    direct = gateway.is_unspecified
    fields = {
        "family": _family(gateway), "dst_len": 0, "table": _MAIN_TABLE, "proto": _BOOT,
        "scope": _ON_LINK if direct else _UNIVERSE, "type": _UNICAST,
    }  # fmt: skip
    attributes: Attributes = [*([] if direct else [("RTA_GATEWAY", str(gateway))]), ("RTA_OIF", index)]
    flags = _CREATE | _REPLACE | _ACK
    return Message(_encoded(rtmsg, _NEWROUTE, flags, fields, attributes), f"add the route to {gateway}")


def by_name(links: Iterable[Link]) -> dict[str, Link]:
    """The interfaces by their names."""
    return {link.name: link for link in links}


def _family(address: Address) -> int:
    return int(socket.AF_INET if address.version == IPV4 else socket.AF_INET6)
