"""The daemon and its machine: GET /info, /version and /system/df."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pysup.store.containers import Container
from pysup.supervisor.api.render.container import DRIVER
from pysup.supervisor.api.render.registries import proxies, registry_config
from pysup.supervisor.api.render.words import state_word
from pysup.supervisor.engine.building.pruning import Cached
from pysup.supervisor.engine.disk_use import DiskUse
from pysup.supervisor.images.digests import PREFIX
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.architecture import go_name
from pysup.supervisor.spec.capabilities import DEFAULT
from pysup.supervisor.spec.timestamps import rfc3339

Json = dict[str, Any]

API_VERSION = "1.47"
MINIMUM_API_VERSION = "1.40"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is asked of the machine once, when the daemon starts."""

    name: str
    """The host's name."""
    kernel: str
    """As uname -r."""
    architecture: str
    """As uname -m: x86_64, aarch64."""
    operating_system: str
    """PRETTY_NAME of os-release(5)."""
    system_version: str
    cpus: int
    memory: int
    """Bytes."""
    identity: str
    """machine-id(5): what docker calls the daemon's id."""
    python: str
    pysup: str
    """This program's version."""
    cgroup_version: int
    """0: there is none that may be used."""
    rootless: bool = False
    """The daemon is an ordinary user's."""
    controllers: frozenset[str]


def version(machine: Machine) -> Json:
    """GET /version."""
    facts = {
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MINIMUM_API_VERSION,
        "GitCommit": "",
        "GoVersion": f"python{machine.python}",
        "Os": "linux",
        "Arch": go_name(machine.architecture),
        "KernelVersion": machine.kernel,
        "BuildTime": "",
    }
    details = {**facts, "Experimental": "false"}
    component = {"Name": "Engine", "Version": machine.pysup, "Details": details}
    return {"Platform": {"Name": "pysup"}, "Components": [component], "Version": machine.pysup, **facts}


def _security(settings: Settings, machine: Machine) -> list[str]:
    userns = ["name=userns"] if settings.userns not in ("", "host") else []
    rootless = ["name=rootless"] if machine.rootless else []
    return ["name=seccomp,profile=builtin", *userns, *rootless, "name=cgroupns"]


def info(
    machine: Machine,
    settings: Settings,
    containers: Sequence[Container],
    *,
    images: int,
    warnings: Sequence[str],
    filesystem: str,
    now: str,
    environment: Mapping[str, str],
) -> Json:
    """GET /info; ``now`` is in RFC 3339, ``filesystem`` the type of that which the state lies in."""
    words = [state_word(row) for row in containers]
    paused = words.count("paused")
    running = words.count("running") + words.count("restarting")
    return {
        "ID": machine.identity,
        "Containers": len(words),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(words) - running - paused,
        "Images": images,
        "SystemTime": now,
        "Warnings": list(warnings) or None,
        **_driver(settings, machine, filesystem),
        **_machine(machine),
        **_limits(machine),
        **_absent(),
        "RegistryConfig": registry_config(settings),
        **proxies(environment),
        "Pysup": own_settings(settings),
    }


def _driver(settings: Settings, machine: Machine, filesystem: str) -> Json:
    return {
        "Driver": DRIVER,
        "DriverStatus": [["Backing Filesystem", filesystem]],
        "Plugins": {
            "Volume": [],
            "Network": ["bridge", "host", "ipvlan", "macvlan", "null"],
            "Authorization": None,
            "Log": ["json-file", "local", "pysup"],
        },
        "DockerRootDir": settings.root,
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs" if machine.cgroup_version else "none",
        "DefaultRuntime": "pysup",
        "Runtimes": {"pysup": {"path": "pysup"}},
        "InitBinary": "pysup",
        "LiveRestoreEnabled": True,
        "SecurityOptions": _security(settings, machine),
        "Debug": False,
        "NFd": 0,
        "NGoroutines": 0,
        "NEventsListener": 0,
    }


def own_settings(settings: Settings) -> Json:
    """What holds for every container that does not say otherwise: bytes, counts and seconds."""
    return {
        "CgroupRoot": settings.cgroup_root,
        "LogMaxSize": settings.log_max_size,
        "LogMaxFiles": settings.log_max_files,
        "LogTotal": settings.log_total,
        "LogRetention": settings.log_retention,
        "EventRetention": settings.event_retention,
        "DefaultCapabilities": sorted(DEFAULT),
        "DefaultPidsLimit": settings.default_pids_limit or None,
    }


def _machine(machine: Machine) -> Json:
    return {
        "Name": machine.name,
        "KernelVersion": machine.kernel,
        "OperatingSystem": machine.operating_system,
        "OSVersion": machine.system_version,
        "OSType": "linux",
        "Architecture": machine.architecture,
        "NCPU": machine.cpus,
        "MemTotal": machine.memory,
        "ServerVersion": machine.pysup,
        "CgroupVersion": str(machine.cgroup_version or 1),
    }


def _limits(machine: Machine) -> Json:
    """Which limits can be had, by the controllers that are there."""
    memory, cpu = "memory" in machine.controllers, "cpu" in machine.controllers
    return {
        "MemoryLimit": memory,
        "SwapLimit": memory,
        "CpuCfsPeriod": cpu,
        "CpuCfsQuota": cpu,
        "CPUShares": cpu,
        "CPUSet": "cpuset" in machine.controllers,
        "PidsLimit": "pids" in machine.controllers,
        "OomKillDisable": memory and machine.cgroup_version == 1,
    }


def _absent() -> Json:
    """What docker has and pysup lacks (yet), in the form that its clients expect."""
    return {
        "IPv4Forwarding": False,
        "BridgeNfIptables": False,
        "BridgeNfIp6tables": False,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "GenericResources": None,
        "Labels": [],
        "ExperimentalBuild": False,
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "Isolation": "",
        "ContainerdCommit": {"ID": "", "Expected": ""},
        "RuncCommit": {"ID": "", "Expected": ""},
        "InitCommit": {"ID": "", "Expected": ""},
        "CDISpecDirs": [],
    }


def cache_entry(one: Cached) -> Json:
    """One of BuildCache (moby api/types/build CacheRecord)."""
    step = one.step
    return {
        "ID": step.image_id.removeprefix(PREFIX),
        "Parents": [step.parent_id.removeprefix(PREFIX)] if step.parent_id else None,
        "Type": "regular",
        "Description": step.instruction,
        "InUse": one.in_use,
        "Shared": one.shared,
        "Size": step.size,
        "CreatedAt": rfc3339(step.created_at),
        "LastUsedAt": rfc3339(step.used_at),
        "UsageCount": step.uses,
    }


def use(found: DiskUse) -> Json:
    """How much there is of something, and how much of it nothing needs; bytes."""
    return {"Size": found.size, "Reclaimable": found.reclaimable}
