"""A port of the host, explained: pysup's own, GET /pysup/ports/{protocol}/{number}."""

from __future__ import annotations

import os
from typing import Any

from pysup.supervisor.engine.networks.explaining import Explanation, Lead
from pysup.supervisor.network import rules
from pysup.supervisor.network.hooks import BaseChain

Json = dict[str, Any]
_DOES = {
    "guard": "drops what comes from elsewhere for the host's loopback",
    "prerouting": "leads published ports, for whoever comes from elsewhere",
    "output": "leads published ports, for programs of the host",
    "postrouting": "masquerades",
    "forward": "lets in what is published, and parts the networks",
}


def port_entry(found: Explanation, protocol: str, number: int) -> Json:
    """The whole answer."""
    daemon = (os.getpid(), os.getppid())  # this engine, and the keeper
    return {
        "Port": number,
        "Protocol": protocol,
        "Published": [_lead(lead) for lead in found.leads],
        "Carried": found.carried,
        "BoundBy": [
            {"Name": one.name, "Pid": one.pid, "Address": one.address, "IsDaemon": one.pid in daemon}
            for one in found.holders
        ],
        "Chains": [_chain(chain) for chain in found.chains],
    }


def _lead(lead: Lead) -> Json:
    port = lead.port
    return {
        "Container": lead.container,
        "Network": lead.network,
        "HostIp": port.host_ip,
        "Address": port.address,
        "ContainerPort": port.port,
        "Table": rules.TABLE,
        "Map": rules.map_of(port),
        "Element": rules.element(port).partition(" ")[2].strip("{ }"),
        "Present": lead.present,
        "Carried": not port.is_led,
    }


def _chain(chain: BaseChain) -> Json:
    ours = chain.table == rules.TABLE
    return {
        "Hook": chain.hook,
        "Priority": chain.priority,
        "Table": chain.table,
        "Chain": chain.chain,
        "Type": chain.kind,
        "Policy": chain.policy,
        "Ours": ours,
        "Does": _DOES.get(chain.chain, "") if ours else "",
    }
