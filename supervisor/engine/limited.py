"""What an ordinary user's daemon has, has not, and why: in place of what the same machine has for root's.

For ``pysup info``: kernel/features.py knows the machine alone.
"""

from __future__ import annotations

from pysup.supervisor.kernel import netns, own_ids
from pysup.supervisor.kernel.features import Feature
from pysup.supervisor.network import uplink_programs
from pysup.supervisor.runtime import subordinate_ids
from pysup.supervisor.runtime.cgroups.base import Hierarchy
from pysup.supervisor.runtime.cgroups.none import WHY

_FIRST_PORT = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
_NOT_MAPPED = "only root can have them: with --uidmap, files of images and volumes show the daemon's ids"
_OF_ROOT = "an ordinary user has none of it"


def limited(found: dict[str, Feature], hierarchy: Hierarchy) -> dict[str, Feature]:
    """The machine's features, as they are for this daemon."""
    if not own_ids.is_rootless():
        return found
    delegated = hierarchy.version > 0
    own = {
        "idmapped mounts": Feature(present=False, detail="", cost=_NOT_MAPPED),
        "ids": _ids(found["ids"]),
        "cgroup v1": Feature(present=False, detail="", cost=_OF_ROOT),
        "cgroup v2": _feature(
            f"delegated: {' '.join(sorted(hierarchy.controllers)) or 'no controllers'}" if delegated else "",
            f"no limits, figures and pause: {WHY}",
        ),
    }
    return {**found, **own, **({} if netns.is_governed() else _network())}


def _ids(found: Feature) -> Feature:
    """One id is that of the user itself."""
    if own_ids.count("uid") > 1 and own_ids.count("gid") > 1:
        return found
    user = own_ids.own_map("uid")[0].outside
    lacking = subordinate_ids.why_none(user) or "the daemon was started before there were any"
    cost = f"files of an image belong to root, and nobody else can run: {lacking}"
    return Feature(present=False, detail="", cost=cost)


def no_way_out() -> str:
    """What an ordinary user's networks lack that lead out, and its cost; empty: nothing."""
    lacking = "" if netns.is_governed() else uplink_programs.why_not()
    return lacking and f"no default network, and no networks but --internal ones: {lacking}"


def _network() -> dict[str, Feature]:
    lacking = no_way_out()
    with open(_FIRST_PORT, encoding="ascii") as file:
        first = int(file.read())
    return {
        "way out": _feature("" if lacking else uplink_programs.installed(), lacking),
        "low ports": _feature(
            "" if first else "net.ipv4.ip_unprivileged_port_start is 0",
            f"none is published below {first} (net.ipv4.ip_unprivileged_port_start)",
        ),
    }


def _feature(detail: str, cost: str) -> Feature:
    return Feature(present=bool(detail), detail=detail, cost="" if detail else cost)
