"""An update body laid over a container's HostConfig, by docker's rules. Pure.

In docker's body 0, "" and null all mean "leave it"; pysup's own settings are changed by being there, and go
back to their default by null. Source: moby container/container_unix.go UpdateContainer.
"""

from __future__ import annotations

from collections.abc import Sequence

from pysup.supervisor.errors import Conflict
from pysup.supervisor.spec import limits
from pysup.supervisor.spec.documents import host_document, refuse_lacking
from pysup.supervisor.spec.fields import Fields, Json
from pysup.supervisor.spec.own_documents import OWN, own_settings
from pysup.supervisor.spec.published_ports import Published, changed_bindings
from pysup.supervisor.spec.restart import restart_policy

UPDATE = "update container"

_LIVE = (
    "CpuShares", "Memory", "NanoCpus", "BlkioWeight", "CpuPeriod", "CpuQuota", "CpusetCpus", "CpusetMems",
    "MemoryReservation", "MemorySwap", "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps",
)  # fmt: skip
"""Fields of HostConfig that can change in a container's life."""
_FIXED = {
    "CgroupParent": "--cgroup-parent",
    "OomKillDisable": "--oom-kill-disable",
    "Ulimits": "--ulimit",
    "Init": "--init",
    "Devices": "--device",
    "DeviceCgroupRules": "--device-cgroup-rule",
    "PortBindings": "--publish",
}
"""Fields that docker's Resources has as well, but that only a new container can have changed."""
_INSTEAD = {"PortBindings": " by docker; pysup update --publish-add and --publish-rm can"}
_FIXED_OWN = {
    "IdRange": "--userns",
    "JoinedIds": "--userns",
    "UidMaps": "--uidmap",
    "GidMaps": "--gidmap",
    "Rootfs": "--rootfs",
    "Inherited": "--volumes-from",
    "Secrets": "--secret",
    "OnNone": "--network",
}


def merge_update(
    host_config: Json, body: object, published: Sequence[Published] = (), *, cpus: int = 0
) -> Json:
    """The new HostConfig, complete and checked. Raises BadRequest, NotSupported, Conflict as docker does.

    ``published``: the ports that the container has now; ``cpus``: as for `limits.resources`.
    """
    asked = Fields(UPDATE, body)
    refuse_lacking(asked)
    _refuse_fixed(asked, host_config)
    merged = host_config | _limits(asked, host_config) | _policy(asked, host_config)
    merged |= changed_bindings(asked, host_config, published)
    merged["Pysup"] = _own(asked, host_config.get("Pysup") or {})
    result = Fields(UPDATE, merged)
    limits.resources(result, cpus=cpus)
    restart_policy(result)
    result.inner("Pysup").seconds("RunTimeout")
    return merged


def _refuse_fixed(asked: Fields, host_config: Json) -> None:
    for key, flag in _FIXED.items():
        if asked.raw(key) and asked.raw(key) != host_config.get(key):
            raise asked.bad(
                f"{flag} cannot be changed after the container was created{_INSTEAD.get(key, '')}"
            )
    own = asked.inner("Pysup")
    for key, flag in _FIXED_OWN.items():
        if own.raw(key) or own.has_null(key):
            raise asked.bad(f"{flag} cannot be changed after the container was created")


def _limits(asked: Fields, current: Json) -> Json:
    typed = host_document(_only(asked, (*_LIVE, "PidsLimit")))
    changed: Json = {key: typed[key] for key in _LIVE if typed[key]}
    if "PidsLimit" in asked and asked.integer("PidsLimit"):
        changed["PidsLimit"] = typed["PidsLimit"]
    _refuse_two_ways_of_cpu(changed, current)
    return changed | _swap(changed, current)


def _only(asked: Fields, keys: tuple[str, ...]) -> Fields:
    return Fields(asked.verb, {key: asked.raw(key) for key in keys})


def _refuse_two_ways_of_cpu(changed: Json, current: Json) -> None:
    if changed.get("NanoCpus"):
        for key, flag in (("CpuPeriod", "--cpu-period"), ("CpuQuota", "--cpu-quota")):
            if current.get(key):
                raise _conflict(f"--cpus, because {flag} has already been set")
    elif current.get("NanoCpus"):
        for key, flag in (("CpuPeriod", "--cpu-period"), ("CpuQuota", "--cpu-quota")):
            if changed.get(key):
                raise _conflict(f"{flag}, because --cpus has already been set")


def _swap(changed: Json, current: Json) -> Json:
    """Memory must stay below the limit of memory and swap; without one, that follows as at create."""
    memory, swap = changed.get("Memory", 0), current.get("MemorySwap") or 0
    if not memory or changed.get("MemorySwap"):
        return {}
    if not swap:
        return {"MemorySwap": 2 * memory}
    if 0 < swap < memory:
        raise _conflict(
            f"--memory to {memory}: it is above --memory-swap {swap}; update that at the same time"
        )
    return {}


def _policy(asked: Fields, current: Json) -> Json:
    policy = asked.inner("RestartPolicy")
    name = policy.text("Name")
    if not name:
        return {}
    if current.get("AutoRemove") and name != "no":
        raise _conflict("the restart policy, because --rm is in force for the container")
    return {"RestartPolicy": {"Name": name, "MaximumRetryCount": policy.integer("MaximumRetryCount")}}


def _own(asked: Fields, current: Json) -> Json:
    """A setting that is null goes back to its default."""
    own = asked.inner("Pysup")
    given = own_settings(own)
    reset = {key for key in OWN if own.has_null(key)}
    return {key: value for key, value in (current | given).items() if key not in reset}


def _conflict(what: str) -> Conflict:
    return Conflict(f"cannot {UPDATE}: cannot change {what}")
