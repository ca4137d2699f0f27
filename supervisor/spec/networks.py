"""What POST /networks/create asks for, and what a network's options mean. Pure.

Sources: moby api/types/network (API 1.47), and the options of its bridge driver (libnetwork/drivers/bridge/labels.go).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import NamedTuple

from pysup.supervisor.network.addresses import Address, Network, check_subnet, gateway_of
from pysup.supervisor.spec.fields import Fields, Json
from pysup.supervisor.spec.names import LONGEST
from pysup.supervisor.spec.network import CONTAINER

CREATE = "create network"
BUILTIN = ("bridge", "host", "none")
_LONGEST_DEVICE = 15
"""IFNAMSIZ - 1, netdevice(7)."""
_DEVICE = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_DEFAULT = "com.docker.network.bridge.default_bridge"
_NAME = "com.docker.network.bridge.name"
_ICC = "com.docker.network.bridge.enable_icc"
_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
_HOST_IP = "com.docker.network.bridge.host_binding_ipv4"
_MTU = "com.docker.network.driver.mtu"
_PARENT, _FLAG = "parent", "ipvlan_flag"
MACVLAN, IPVLAN = "macvlan", "ipvlan"
ON_PARENT = (MACVLAN, IPVLAN)
"""Drivers without a bridge: containers are hosts on the network of an interface of the host, their parent."""
_KNOWN = {
    "bridge": (_NAME, _ICC, _MASQUERADE, _HOST_IP, _MTU),
    MACVLAN: (_PARENT, "macvlan_mode", _MTU),
    IPVLAN: (_PARENT, "ipvlan_mode", _FLAG, _MTU),
}
"""Options by driver (libnetwork/drivers/bridge/labels.go, drivers/macvlan/macvlan_store.go, and ipvlan's)."""
_MODES = {MACVLAN: ("bridge", "private", "vepa", "passthru"), IPVLAN: ("l2", "l3", "l3s")}
_FLAGS = ("bridge", "private", "vepa")
"""Of ipvlans: what they may say to each other. The first one of each is docker's default."""
_VLAN = re.compile(r"(.+)\.([0-9]{1,4})", re.ASCII)
_VLAN_IDS = range(1, 4095)
"""IEEE 802.1Q; 0 and 4095 are reserved."""
MTU = 1500
"""Bytes: what the kernel gives to bridges and pairs (Ethernet)."""
_ALL = "0.0.0.0"  # noqa: S104 - docker's word for no address in particular, IPv6 included
_MTUS = range(68, 65536)
"""RFC 791: every link carries 68 bytes."""


class WantedSubnet(NamedTuple):
    """One entry of IPAM.Config."""

    subnet: Network
    ip_range: Network | None = None
    gateway: Address | None = None
    """None: the first address of the range."""
    reserved: dict[str, str] = {}  # noqa: RUF012 - a NamedTuple's default is never changed

    @property
    def chosen_gateway(self) -> Address:
        """The bridge's own address."""
        return self.gateway or gateway_of(self.subnet, self.ip_range)


class WantedNetwork(NamedTuple):
    """A network to be made."""

    name: str
    driver: str = "bridge"
    """``bridge``, ``macvlan`` or ``ipvlan``."""
    internal: bool = False
    ipv4: bool = True
    ipv6: bool = False
    options: dict[str, str] = {}  # noqa: RUF012
    labels: dict[str, str] = {}  # noqa: RUF012
    subnets: tuple[WantedSubnet, ...] = ()
    document: Json = {}  # noqa: RUF012
    """What inspect shows again."""


class Vlan(NamedTuple):
    """A VLAN on an interface of the host."""

    link: str
    """That interface."""
    number: int


class Options:
    """What the options of a network mean; they were checked when it was made."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self.device = options.get(_NAME, "")
        """The bridge's name; empty: one is made up."""
        self.icc = _is_on(options.get(_ICC, "true"))
        self.masquerade = _is_on(options.get(_MASQUERADE, "true"))
        self.host_ip = options.get(_HOST_IP, "").removeprefix(_ALL)
        """Where ports are published that name no address; empty: not decided here."""
        self.mtu = int(options.get(_MTU) or 0)
        self.parent = options.get(_PARENT, "")
        """The interface of the host that a network without a bridge is on."""
        self._options = options

    def mode(self, driver: str) -> str:
        """Of macvlans: what they may say to each other; of ipvlans: who routes for them (ip-link(8))."""
        return self._options.get(f"{driver}_mode") or _MODES[driver][0]

    @property
    def flag(self) -> str:
        """Of ipvlans: what they may say to each other (ip-link(8))."""
        return self._options.get(_FLAG) or _FLAGS[0]

    @property
    def vlan(self) -> Vlan | None:
        """The VLAN that the parent is, if it is called like one (``eth0.50``)."""
        match = _VLAN.fullmatch(self.parent)
        return None if match is None else Vlan(match[1], int(match[2]))

    def is_routed(self, driver: str) -> bool:
        """Whether packets are routed in the host's own namespace (ipvlan, l3 and l3s): then there is no gateway."""
        return driver == IPVLAN and self.mode(driver) != _MODES[IPVLAN][0]


def default_options(device: str, mtu: int, host_ip: str) -> dict[str, str]:
    """Those of the default bridge, as docker shows them. ``mtu`` 0: it is not known; ``host_ip`` empty: all."""
    return {
        _DEFAULT: "true",
        _ICC: "true",
        _MASQUERADE: "true",
        _HOST_IP: host_ip or _ALL,
        _NAME: device,
        **({_MTU: str(mtu)} if mtu else {}),
    }


def _is_on(text: str) -> bool:
    return text.lower() in ("1", "t", "true")


def wanted_network(body: object) -> WantedNetwork:
    """A create body, checked. Raises BadRequest, NotSupported."""
    fields = Fields(CREATE, body)
    name = fields.text("Name")
    if not _is_network_name(name):
        raise fields.bad(f"invalid name {name[:64]!r}: it is empty, too long, or has a control character")
    if name == "default" or name.startswith(CONTAINER):
        raise fields.bad(f"{name[:64]} means something else where a network is named")
    driver = _driver(fields)
    _refuse(fields)
    ipam = fields.inner("IPAM")
    subnets = tuple(_subnet(one) for one in ipam.inners("Config") if list(one.given()))
    return WantedNetwork(
        name=name,
        driver=driver,
        internal=fields.flag("Internal"),
        ipv4=fields.raw("EnableIPv4") is not False,
        ipv6=fields.flag("EnableIPv6") or any(one.subnet.version == 6 for one in subnets),  # noqa: PLR2004
        options=_options(fields, driver),
        labels=fields.mapping("Labels"),
        subnets=subnets,
        document={"Attachable": fields.flag("Attachable"), "IPAMOptions": ipam.mapping("Options")},
    )


def _is_network_name(name: str) -> bool:
    """As docker, which takes nearly everything, also ``a/b``."""
    return bool(name.strip()) and len(name) <= LONGEST and name.isprintable()


def _driver(fields: Fields) -> str:
    driver = fields.text("Driver", "bridge")
    there = ", ".join(_KNOWN)
    if driver in ("host", "null", "none"):
        raise fields.bad(f"there is one network of driver {driver!r}, and it is there already")
    if driver == "overlay":
        raise fields.lacking(f"--driver {driver}", f"there are {there}")
    if driver not in _KNOWN:
        raise fields.bad(f"no network driver named {driver[:64]!r} (there are {there})")
    return driver


def _refuse(fields: Fields) -> None:
    for key, flag in (("Ingress", "--ingress"), ("ConfigOnly", "--config-only")):
        if fields.flag(key):
            raise fields.lacking(flag, "pysup is for one host")
    if fields.inner("ConfigFrom").text("Network"):
        raise fields.lacking("--config-from", "pysup is for one host")
    if fields.text("Scope", "local") != "local":
        raise fields.lacking(f"--scope {fields.text('Scope')[:64]}", "pysup is for one host")
    if fields.inner("IPAM").text("Driver", "default") != "default":
        raise fields.lacking("--ipam-driver", "there is default")


def _options(fields: Fields, driver: str) -> dict[str, str]:
    options = fields.mapping("Options")
    for key in options:
        if key not in _KNOWN[driver]:
            raise fields.lacking(
                f"--opt {key[:80]}", f"with driver {driver} there is {', '.join(_KNOWN[driver])}"
            )
    for key in (_NAME, _PARENT):
        _check_device(fields, key, options.get(key, ""))
    if driver in ON_PARENT:
        _check_parent(fields, driver, options)
    mtu = options.get(_MTU, "")
    if mtu and not (mtu.isascii() and mtu.isdigit() and len(mtu) <= len("65535") and int(mtu) in _MTUS):
        raise fields.bad(f"{_MTU} {mtu[:64]!r} is not a size from 68 to 65535 bytes")
    if options.get(_HOST_IP):
        _address(fields, _HOST_IP, options[_HOST_IP])
    return options


def _check_parent(fields: Fields, driver: str, options: dict[str, str]) -> None:
    if not options.get(_PARENT):
        raise fields.bad(
            f"a network of {driver}s needs the interface of the host that it is on: --opt parent=eth0"
        )
    read = Options(options)
    _check_word(fields, f"{driver}_mode", read.mode(driver), _MODES[driver])
    _check_word(fields, _FLAG, read.flag, _FLAGS)
    if read.vlan is not None and read.vlan.number not in _VLAN_IDS:
        raise fields.bad(f"parent {read.parent!r}: the number of a VLAN is from 1 to 4094")


def _check_word(fields: Fields, key: str, word: str, there: tuple[str, ...]) -> None:
    if word not in there:
        raise fields.bad(f"{key} {word[:64]!r} is none of {', '.join(there)}")


def _check_device(fields: Fields, key: str, device: str) -> None:
    if device and (len(device) > _LONGEST_DEVICE or not _DEVICE.fullmatch(device) or device in (".", "..")):
        raise fields.bad(f"{key} {device[:64]!r} cannot be the name of an interface (at most 15 characters)")


def _subnet(one: Fields) -> WantedSubnet:
    if not one.text("Subnet"):
        raise one.bad("an --ip-range, a --gateway or an --aux-address needs its --subnet")
    subnet = _network(one, "--subnet", one.text("Subnet"))
    ip_range = _network(one, "--ip-range", one.text("IPRange")) if one.text("IPRange") else None
    gateway = _address(one, "--gateway", one.text("Gateway")) if one.text("Gateway") else None
    named = {
        key: _address(one, "--aux-address", text) for key, text in one.mapping("AuxiliaryAddresses").items()
    }
    special = [*([gateway] if gateway else []), *named.values()]
    wrong = check_subnet(subnet, ip_range, special)
    if wrong:
        raise one.bad(wrong)
    return WantedSubnet(subnet, ip_range, gateway, {key: str(address) for key, address in named.items()})


def _network(fields: Fields, flag: str, text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise fields.bad(f"{flag} {text[:64]!r} is not a network (it is 192.0.2.0/24)") from None


def _address(fields: Fields, flag: str, text: str) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise fields.bad(f"{flag} {text[:64]!r} is not an IP address") from None
