"""What a template finds where an inspect document has nothing: Go's zero values, of docker's types.

Docker's CLI reads the document into structs, so ``{{if .State.Health}}`` and ``{{len .HostConfig.CapAdd}}`` work
although the API leaves the one out and has null for the other (moby api/types/container, image, volume, network).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pysup.supervisor.cli.output.template.values import NIL, NIL_LIST, NIL_MAP

Zeros = Mapping[str, Any]
"""By field: what it is where there is none."""


class Struct(dict[str, Any]):
    """The fields that are there, and in a look-up by name those that are not; JSON has the former only."""

    def __init__(self, fields: Mapping[str, Any], zeros: Zeros) -> None:
        given = {name: zeros.get(name) if value is None else value for name, value in fields.items()}
        super().__init__(given)
        self._zeros = zeros

    def __missing__(self, name: str) -> Any:
        return self._zeros[name]


def _zeros(*, pointers: str = "", lists: str = "", maps: str = "", texts: str = "") -> dict[str, Any]:
    kinds = ((pointers, NIL), (lists, NIL_LIST), (maps, NIL_MAP), (texts, ""))
    return {name: zero for names, zero in kinds for name in names.split()}


_CONFIG = _zeros(
    pointers="Healthcheck StopTimeout",
    lists="Env Cmd Entrypoint OnBuild Shell",
    maps="ExposedPorts Volumes Labels",
    texts="StopSignal MacAddress Hostname Domainname User Image WorkingDir",
)
_HOST_CONFIG = _zeros(
    pointers="MemorySwappiness OomKillDisable PidsLimit Init",
    lists="Binds CapAdd CapDrop Dns DnsOptions DnsSearch ExtraHosts GroupAdd Links SecurityOpt Devices Mounts "
    "DeviceCgroupRules DeviceRequests Ulimits VolumesFrom MaskedPaths ReadonlyPaths BlkioWeightDevice "
    "BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps",
    maps="StorageOpt Tmpfs Sysctls PortBindings Annotations",
)
_ENDPOINT = _zeros(pointers="IPAMConfig", lists="Links Aliases DNSNames", maps="DriverOpts")

_CONTAINER: dict[str, Zeros] = {
    "": _zeros(pointers="SizeRw SizeRootFs ImageManifestDescriptor", lists="Args ExecIDs Mounts"),
    "State": _zeros(pointers="Health"),
    "Config": _CONFIG,
    "HostConfig": _HOST_CONFIG,
    "NetworkSettings": _zeros(lists="SecondaryIPAddresses SecondaryIPv6Addresses", maps="Ports Networks"),
}
_IMAGE: dict[str, Zeros] = {
    "": _zeros(lists="RepoTags RepoDigests Manifests", pointers="Descriptor", texts="Variant OsVersion"),
    "Config": _CONFIG,
}
_VOLUME: dict[str, Zeros] = {"": _zeros(pointers="UsageData ClusterVolume", maps="Labels Options Status")}
_NETWORK: dict[str, Zeros] = {"": _zeros(lists="Peers", maps="Labels Options Containers Services")}

_KINDS = {"HostConfig": _CONTAINER, "RootFS": _IMAGE, "Mountpoint": _VOLUME, "IPAM": _NETWORK}
"""Each kind of document by a field that it alone has."""


def with_zeros(document: Any) -> Any:
    """An inspect document, as a template is to see it."""
    parts = next((parts for mark, parts in _KINDS.items() if mark in document), None)
    if parts is None:
        return document
    made = Struct(document, parts[""])
    for name, zeros in parts.items():
        if isinstance(document.get(name), dict):
            made[name] = Struct(document[name], zeros)
    if parts is _CONTAINER:
        networks = made["NetworkSettings"]["Networks"] or {}
        for name, endpoint in networks.items():
            networks[name] = Struct(endpoint or {}, _ENDPOINT)
    return made
