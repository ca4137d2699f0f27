"""The flags of run and create as the body of POST /containers/create (docker/cli container/opts.go).

Only what was given is in the body; the daemon knows the defaults. What the daemon must judge (names of
networks, limits that are too low, paths that are missing) is not judged here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.flags import Given, UsageError
from pysup.supervisor.cli.options import confinement, kvfile, publish, resources
from pysup.supervisor.cli.options.endpoints import Own, networking

_PULL = ("always", "missing", "never")

_STREAMS = ("stdin", "stdout", "stderr")

_CONFIG = {
    "hostname": "Hostname",
    "domainname": "Domainname",
    "user": "User",
    "workdir": "WorkingDir",
    "stop-signal": "StopSignal",
    "stop-timeout": "StopTimeout",
    "tty": "Tty",
    "interactive": "OpenStdin",
}

_HOST = {
    "cgroup-parent": "CgroupParent",
    "volume-driver": "VolumeDriver",
    "volumes-from": "VolumesFrom",
    "cidfile": "ContainerIDFile",
    "rm": "AutoRemove",
    "init": "Init",
    "read-only": "ReadonlyRootfs",
    "shm-size": "ShmSize",
    "group-add": "GroupAdd",
    "cap-add": "CapAdd",
    "cap-drop": "CapDrop",
    "privileged": "Privileged",
    "oom-score-adj": "OomScoreAdj",
    "oom-kill-disable": "OomKillDisable",
    "memory-swappiness": "MemorySwappiness",
    "pid": "PidMode",
    "ipc": "IpcMode",
    "uts": "UTSMode",
    "userns": "UsernsMode",
    "cgroupns": "CgroupnsMode",
    "publish-all": "PublishAllPorts",
    "dns": "Dns",
    "dns-search": "DnsSearch",
}


def _operations(text: str) -> int:
    """A second; none is negative (strconv.ParseUint)."""
    count = kinds.read_int(text)
    if count < 0:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return count


_RATES = {
    "device-read-bps": ("BlkioDeviceReadBps", kinds.read_own_size),
    "device-write-bps": ("BlkioDeviceWriteBps", kinds.read_own_size),
    "device-read-iops": ("BlkioDeviceReadIOps", _operations),
    "device-write-iops": ("BlkioDeviceWriteIOps", _operations),
}


def build(given: Given, *, detach: bool = False) -> dict[str, Any]:
    """The whole body. Raises UsageError (wrong in itself), NotSupported (not there yet)."""
    _refuse_conflicts(given, detach=detach)
    image, command = _image(given)
    body = {**_config(given), "Image": image, **attached(given, detach=detach)}
    if command:
        body["Cmd"] = command
    body["StdinOnce"] = given.on("interactive") and body["AttachStdin"]
    body["HostConfig"] = _host_config(given)
    return _networked(body, given)


def _networked(body: dict[str, Any], given: Given) -> dict[str, Any]:
    """Networks, ports and names of hosts; what is published is exposed, too."""
    host = body["HostConfig"]
    own = Own(
        [*given.many("network-alias"), *given.many("net-alias")],
        given.text("ip"),
        given.text("ip6"),
        given.text("mac-address"),
        links := given.many("link"),
        given.many("link-local-ip"),
    )
    try:
        mode, endpoints = networking([*given.many("network"), *given.many("net")], own)
        ports = publish.bindings(given.many("publish"))
        exposed = publish.exposed(given.many("expose"), ports)
    except ValueError as error:
        raise UsageError(f"cannot parse the arguments: {error}") from None
    host |= _unempty(
        NetworkMode=mode if mode != "default" else "",
        PortBindings=ports,
        Links=links,
        DnsOptions=[*given.many("dns-option"), *given.many("dns-opt")],
        ExtraHosts=given.many("add-host"),
    )
    return body | _unempty(
        ExposedPorts=exposed, NetworkingConfig={"EndpointsConfig": endpoints} if endpoints else {}
    )


def _refuse_conflicts(given: Given, *, detach: bool) -> None:
    policy = resources.restart_policy(given.text("restart"))["Name"]
    if given.on("rm") and policy != "no":
        raise UsageError(
            "cannot parse the arguments: conflicting options: cannot specify both --restart and --rm"
        )
    if detach and given.many("attach"):
        raise UsageError(
            "cannot parse the arguments: conflicting options: cannot specify both --attach and --detach", 1
        )
    if given.text("pull") not in _PULL:
        raise UsageError(
            f"cannot parse the arguments: invalid pull option: '{given.text('pull')}':"
            ' must be one of "always", "missing" or "never"'
        )


def _image(given: Given) -> tuple[str, list[str]]:
    """The image and the command; with --rootfs there is no image, and every word is the command's."""
    if "rootfs" in given.changed:
        return "", given.words
    if not given.words:
        raise UsageError("cannot parse the arguments: an IMAGE (or --rootfs DIR) is needed", 1)
    return given.words[0], given.words[1:]


def attached(given: Given, *, detach: bool) -> dict[str, bool]:
    """Which streams the command line is attached to: -a and -i say so, else both outputs."""
    named = {name.lower() for name in given.many("attach")}
    if not named <= set(_STREAMS):
        raise UsageError(
            f"cannot parse the arguments: valid streams are STDIN, STDOUT and STDERR, not {', '.join(sorted(named))}"
        )
    outputs = named or {"stdout", "stderr"}
    return {
        "AttachStdin": not detach and (given.on("interactive") or "stdin" in named),
        "AttachStdout": not detach and "stdout" in outputs,
        "AttachStderr": not detach and "stderr" in outputs,
    }


def _config(given: Given) -> dict[str, Any]:
    made = resources.copied(given, _CONFIG)
    env = kvfile.environment(given.many("env-file"), given.many("env"))
    labels = kvfile.mapping(given.many("label-file"), given.many("label"))
    volumes = [volume for volume in given.many("volume") if ":" not in volume]
    if "entrypoint" in given.changed:
        made["Entrypoint"] = [given.text("entrypoint")]
    if check := _health(given):
        made["Healthcheck"] = check
    return made | _unempty(Env=env, Labels=labels, Volumes={path: {} for path in volumes})


_HEALTH = {
    "health-interval": "Interval",
    "health-timeout": "Timeout",
    "health-start-period": "StartPeriod",
    "health-start-interval": "StartInterval",
}


def _health(given: Given) -> dict[str, Any]:
    """Docker's Healthcheck object; times in nanoseconds."""
    made: dict[str, Any] = {
        field: round(given[flag] * 10**9) for flag, field in _HEALTH.items() if flag in given.changed
    }
    if given.text("health-cmd"):
        made["Test"] = ["CMD-SHELL", given.text("health-cmd")]
    if "health-retries" in given.changed:
        made["Retries"] = given.number("health-retries")
        if made["Retries"] < 0:
            raise UsageError("cannot parse the arguments: --health-retries cannot be negative")
    if given.on("no-healthcheck"):
        if made:
            raise UsageError("--no-healthcheck conflicts with --health-* options")
        made["Test"] = ["NONE"]
    return made


def _host_config(given: Given) -> dict[str, Any]:
    made = resources.copied(given, _HOST) | resources.limits(given)
    made |= _unempty(
        Binds=[_bind(volume) for volume in given.many("volume") if ":" in volume],
        Mounts=[_mount(mount) for mount in given.many("mount")],
        Tmpfs=_pairs(given.many("tmpfs"), ":"),
        Sysctls=_pairs(given.many("sysctl")),
        Annotations=_pairs(given.many("annotation")),
        Ulimits=given["ulimit"],
        LogConfig=_log_config(given),
        Devices=[_checked("device", one, confinement.device) for one in given.many("device")],
        DeviceCgroupRules=[
            _checked("device-cgroup-rule", rule, confinement.device_rule)
            for rule in given.many("device-cgroup-rule")
        ],
    )
    made |= _security(given)
    for name, (field, read) in _RATES.items():
        if given.many(name):
            made[field] = [_rate(name, rate, read) for rate in given.many(name)]
    pysup = made.get("Pysup", {}) | _own(given)
    return made | _unempty(Pysup=pysup)


def _security(given: Given) -> dict[str, Any]:
    try:
        return confinement.security(given.many("security-opt"))
    except ValueError as error:
        raise UsageError(f"cannot parse the arguments: {error}") from None


def _own(given: Given) -> dict[str, Any]:
    """What docker has no field for."""
    return _unempty(
        Rootfs=os.path.abspath(given.text("rootfs")) if given.text("rootfs") else "",
        UidMaps=[_checked("uidmap", text, _id_map) for text in given.many("uidmap")],
        GidMaps=[_checked("gidmap", text, _id_map) for text in given.many("gidmap")],
        Secrets=[_checked("secret", text, _secret) for text in given.many("secret")],
    )


def _secret(text: str) -> dict[str, Any]:
    from pysup.supervisor.cli.options.secret_values import entry

    return entry(text)


def _unempty(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _pairs(words: Iterable[str], separator: str = "=") -> dict[str, str]:
    return {name: value for name, _, value in (word.partition(separator) for word in words)}


def _log_config(given: Given) -> dict[str, Any]:
    driver, options = given.text("log-driver"), _pairs(given.many("log-opt"))
    return {"Type": driver, "Config": options} if driver or options else {}


def _bind(volume: str) -> str:
    """``./src:/dst`` with the source made absolute, as docker's command line does."""
    source, _, rest = volume.partition(":")
    return f"{os.path.abspath(source)}:{rest}" if source.startswith(".") else volume


def _mount(text: str) -> Any:
    from pysup.supervisor.spec.mount_syntax import parse_mount

    return _checked("mount", text, lambda one: parse_mount(one, cwd=os.getcwd()))


def _checked(flag: str, text: str, read: Callable[[str], Any]) -> Any:
    """Read a flag's value; say which flag it was for if that fails."""
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(
            f'cannot parse the arguments: invalid argument "{text}" for "--{flag}" flag: {error}'
        ) from None


def _rate(flag: str, text: str, read: Callable[[str], int]) -> dict[str, Any]:
    path, _, rate = text.rpartition(":")
    if not path.startswith("/dev/"):
        raise UsageError(
            f'cannot parse the arguments: invalid argument "{text}" for "--{flag}" flag: bad format for device path'
        )
    return {"Path": path, "Rate": _checked(flag, rate, read)}


def _id_map(text: str) -> list[int]:
    """``container:host:size``."""
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):  # noqa: PLR2004
        raise ValueError("it is container:host:size")
    return [int(part) for part in parts]
