"""What the kernel has for networks, and what each lack costs: ``pysup info``. To be imported in a thread, and late."""

from __future__ import annotations

from pysup.supervisor.kernel.features import Feature
from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.network.kernel_parts import LINKS, lacking
from pysup.supervisor.network.probing import missing_links, missing_rules

_ALL = "no network but host, none and container:NAME"
_COSTS = {
    "bridge": _ALL,
    "veth": _ALL,
    "macvlan": "no macvlan networks",
    "ipvlan": "no ipvlan networks",
    "vlan": "no VLANs below macvlan and ipvlan networks",
}


async def network_features(firewall: Firewall) -> dict[str, Feature]:
    """By name; the kernel may load modules for what it is asked for."""
    links, rules = await missing_links(), await missing_rules(firewall)
    found = {}
    for kind, part in LINKS.items():
        cost = f"{_COSTS[kind]}: {lacking([part])}" if part in links else ""
        found[kind] = Feature(present=not cost, detail="", cost=cost)
    cost = f"{_ALL}: {lacking(rules)}" if rules else ""
    return {**found, "nftables": Feature(present=not rules, detail="", cost=cost)}
