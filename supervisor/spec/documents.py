"""Docker's Config and HostConfig as whole documents: every field of them, its type, and what pysup lacks.

These tables are the truth about which fields are known. Sources: moby api/types/container config.go and
hostconfig.go (API 1.47), and the flag names of docker/cli.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.spec import log_details
from pysup.supervisor.spec.devices import normal_device
from pysup.supervisor.spec.fields import Fields, Json
from pysup.supervisor.spec.limits import swappiness
from pysup.supervisor.spec.network import BRIDGE
from pysup.supervisor.spec.own_documents import own_settings
from pysup.supervisor.spec.typed_mounts import normal_mounts

Reader = Callable[[Fields, str], Any]

DEFAULT_SHM = 64 << 20
DEFAULT_LOG_DRIVER = "json-file"
"""Docker's name of the default, so that its clients know that logs can be read; the files are pysup's."""
NO_LOG = "none"
"""Output is kept for those alone who are attached, and no longer than they need it."""
_LOG_DRIVERS = ("json-file", "local", "pysup", NO_LOG)
_LOG_OPTIONS = ("max-size", "max-file", *log_details.OPTIONS)


def config_document(body: Fields) -> Json:
    """Every field of Config that is not merged with the image's (spec/merging.py)."""
    return _UNSET_CONFIG | {key: _CONFIG[key](body, key) for key in body.among(_CONFIG)}


def host_document(host: Fields) -> Json:
    """Every field of HostConfig, with docker's defaults filled in and pysup's settings as given."""
    document = _UNSET_HOST | {key: _HOST[key](host, key) for key in host.among(_HOST)}
    document["Pysup"] = own_settings(host.inner("Pysup"))
    return document


def refuse_lacking(host: Fields) -> None:
    """Refuse every field that docker has, pysup lacks, and the body sets."""
    for key in host.among(_LACKING):
        flag, why, _ = _LACKING[key]
        if host.raw(key):
            raise host.lacking(flag, why)


def unknown_fields(body: Fields, host: Fields) -> list[str]:
    """Warnings: fields that are set and that nobody here knows."""
    strange = [key for key in body.given() if key not in _KNOWN_CONFIG]
    strange += [f"HostConfig.{key}" for key in host.given() if key not in _KNOWN_HOST]
    return [f"{key[:80]!r} is not known to pysup, and has no effect" for key in strange]


# -- small readers -------------------------------------------------------------------------------------------


def _default(read: Callable[..., Any], value: object) -> Reader:
    return lambda fields, key: read(fields, key, value)


def _network_mode(host: Fields, key: str) -> str:
    """Docker's ``default`` is a network by name when it is not settled already (network.with_default)."""
    mode = host.text(key, "default")
    return BRIDGE if mode == "default" else mode


def port_bindings(host: Fields, key: str) -> dict[str, list[Json]]:
    """HostConfig.PortBindings, and what has its form."""
    bindings = host.inner(key)
    return {
        port: [
            {"HostIp": one.text("HostIp"), "HostPort": one.text("HostPort")} for one in bindings.inners(port)
        ]
        for port in host.names(key)
    }


def _policy(host: Fields, key: str) -> Json:
    policy = host.inner(key)
    return {"Name": policy.text("Name", "no"), "MaximumRetryCount": policy.integer("MaximumRetryCount")}


def log_config(host: Fields, key: str = "LogConfig") -> Json:
    """Driver and options; the limits themselves are read by spec/from_docker.py."""
    asked = host.inner(key)
    driver, options = asked.text("Type", DEFAULT_LOG_DRIVER), asked.mapping("Config")
    if driver not in _LOG_DRIVERS:
        # docker's words alone: its clients compare them
        raise BadRequest(f"logger: no log driver named {driver[:64]!r} is registered")
    if driver == NO_LOG and options:
        raise host.bad(f"--log-opt {next(iter(options))[:64]!r} says nothing to --log-driver none")
    for name in options:
        if name not in _LOG_OPTIONS:
            raise host.lacking(f"--log-opt {name[:64]!r}", f"there are {', '.join(_LOG_OPTIONS)}")
    try:
        log_details.check(options)
    except ValueError as error:
        raise host.bad(f"--log-opt {error}") from None
    return {"Type": driver, "Config": options}


def _rates(host: Fields, key: str) -> list[Json]:
    return [{"Path": item.text("Path"), "Rate": item.integer("Rate")} for item in host.inners(key)]


def _ulimits(host: Fields, key: str) -> list[Json]:
    return [
        {"Name": item.text("Name"), "Hard": item.integer("Hard"), "Soft": item.integer("Soft")}
        for item in host.inners(key)
    ]


def _paths(host: Fields, key: str) -> list[str] | None:
    """An empty list says something else than none at all."""
    return host.texts(key) if key in host else None


def _devices(host: Fields, key: str) -> list[Json]:
    return [normal_device(item) for item in host.inners(key)]


def _pids_limit(host: Fields, key: str) -> int | None:
    limit = host.integer(key)
    return limit if limit > 0 else None


def _runtime(host: Fields, key: str) -> str:
    runtime = host.text(key)
    if runtime not in ("", "pysup", "runc"):
        raise host.lacking(f"--runtime {runtime[:64]!r}", "pysup is its own runtime")
    return runtime or "pysup"


def runtime_beside(fields: Fields, host: Fields) -> Json:
    """docker-py's ``runtime``, which it puts beside HostConfig."""
    beside = fields.text("Runtime") and not host.text("Runtime")
    return {"Runtime": _runtime(fields, "Runtime")} if beside else {}


def _isolation(host: Fields, key: str) -> str:
    isolation = host.text(key)
    if isolation not in ("", "default"):
        raise host.bad(f"--isolation {isolation[:64]!r}: on Linux there is only 'default'")
    return isolation


# -- the tables ----------------------------------------------------------------------------------------------

_CONFIG: dict[str, Reader] = {
    "Hostname": Fields.text,
    "Domainname": Fields.text,
    "AttachStdin": Fields.flag,
    "AttachStdout": Fields.flag,
    "AttachStderr": Fields.flag,
    "Tty": Fields.flag,
    "OpenStdin": Fields.flag,
    "StdinOnce": Fields.flag,
    "ArgsEscaped": Fields.flag,
    "Image": Fields.text,
    "NetworkDisabled": Fields.flag,
    "OnBuild": Fields.texts,
    "StopTimeout": Fields.optional_integer,
    "Shell": Fields.texts,
}

_MERGED = (
    "User", "WorkingDir", "StopSignal", "Entrypoint", "Cmd", "Env", "Labels", "Volumes", "ExposedPorts",
    "Healthcheck", "MacAddress",
)  # fmt: skip
"""Fields of Config that spec/merging.py handles."""

_HOST: dict[str, Reader] = {
    "Binds": Fields.texts,
    "ContainerIDFile": Fields.text,
    "LogConfig": log_config,
    "NetworkMode": _network_mode,
    "PortBindings": port_bindings,
    "PublishAllPorts": Fields.flag,
    "Dns": Fields.texts,
    "DnsOptions": Fields.texts,
    "DnsSearch": Fields.texts,
    "ExtraHosts": Fields.texts,
    "Links": Fields.texts,
    "RestartPolicy": _policy,
    "AutoRemove": Fields.flag,
    "VolumeDriver": Fields.text,
    "VolumesFrom": Fields.texts,
    "ConsoleSize": Fields.size,
    "Annotations": Fields.mapping,
    "CapAdd": Fields.texts,
    "CapDrop": Fields.texts,
    "CgroupnsMode": _default(Fields.text, "private"),
    "GroupAdd": Fields.texts,
    "IpcMode": _default(Fields.text, "private"),
    "OomScoreAdj": Fields.integer,
    "PidMode": Fields.text,
    "ReadonlyRootfs": Fields.flag,
    "SecurityOpt": Fields.texts,
    "Privileged": Fields.flag,
    "MaskedPaths": _paths,
    "ReadonlyPaths": _paths,
    "Devices": _devices,
    "DeviceCgroupRules": Fields.texts,
    "Tmpfs": Fields.mapping,
    "UTSMode": Fields.text,
    "UsernsMode": Fields.text,
    "ShmSize": _default(Fields.integer, DEFAULT_SHM),
    "Sysctls": Fields.mapping,
    "Runtime": _runtime,
    "Isolation": _isolation,
    "Init": Fields.flag,
    "CpuShares": Fields.integer,
    "Memory": Fields.integer,
    "NanoCpus": Fields.integer,
    "CgroupParent": Fields.text,
    "BlkioWeight": Fields.integer,
    "BlkioDeviceReadBps": _rates,
    "BlkioDeviceWriteBps": _rates,
    "BlkioDeviceReadIOps": _rates,
    "BlkioDeviceWriteIOps": _rates,
    "CpuPeriod": Fields.integer,
    "CpuQuota": Fields.integer,
    "CpusetCpus": Fields.text,
    "CpusetMems": Fields.text,
    "MemoryReservation": Fields.integer,
    "MemorySwap": Fields.integer,
    "MemorySwappiness": swappiness,
    "OomKillDisable": Fields.flag,
    "PidsLimit": _pids_limit,
    "Ulimits": _ulimits,
    "Mounts": normal_mounts,
}

_DEVICE = "devices come later"
_REAL_TIME = "real-time groups come later"
_WINDOWS = "it is for Windows only"

_LACKING: dict[str, tuple[str, str, Any]] = {
    "DeviceRequests": ("--gpus", _DEVICE, []),
    "BlkioWeightDevice": ("--blkio-weight-device", _DEVICE, []),
    "StorageOpt": ("--storage-opt", "a bound on the write layer comes later", {}),
    "Cgroup": ("--cgroup", "", ""),
    "CpuRealtimePeriod": ("--cpu-rt-period", _REAL_TIME, 0),
    "CpuRealtimeRuntime": ("--cpu-rt-runtime", _REAL_TIME, 0),
    "KernelMemory": ("--kernel-memory", "kernels no longer have it", 0),
    "KernelMemoryTCP": ("--kernel-memory-tcp", "kernels no longer have it", 0),
    "CpuCount": ("--cpu-count", _WINDOWS, 0),
    "CpuPercent": ("--cpu-percent", _WINDOWS, 0),
    "IOMaximumIOps": ("--io-maxiops", _WINDOWS, 0),
    "IOMaximumBandwidth": ("--io-maxbandwidth", _WINDOWS, 0),
}
"""HostConfig fields that docker has and pysup lacks: flag, why, and the empty value that inspect shows."""

_KNOWN_CONFIG = frozenset((*_CONFIG, *_MERGED, "HostConfig", "NetworkingConfig"))
_KNOWN_HOST = frozenset((*_HOST, *_LACKING, "Pysup"))
_UNSET_CONFIG: Json = {key: read(Fields("", {}), key) for key, read in _CONFIG.items()}
_UNSET_HOST: Json = {key: read(Fields("", {}), key) for key, read in _HOST.items()}
_UNSET_HOST |= {key: default for key, (_, _, default) in _LACKING.items()}
"""What the documents of an empty body are; none of it is ever changed."""
