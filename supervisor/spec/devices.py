"""The devices of HostConfig: --device and --device-cgroup-rule. Pure."""

from __future__ import annotations

import re

from pysup.supervisor.spec.container import HostDevice
from pysup.supervisor.spec.fields import Fields, Json

EVERYTHING = "rwm"
"""Read, write, mknod(2)."""
_ACCESS = re.compile(r"(?!.*(.).*\1)[rwm]{1,3}")
_RULE = re.compile(r"([acb]) ([0-9]{1,10}|\*):([0-9]{1,10}|\*) ([rwm]{1,3})", re.ASCII)
"""As docker checks it (docker/cli opts, validateDeviceCgroupRule); the kernel's devices.rst has the same form."""
_LARGEST = (1 << 31) - 1
_ODD_IN_A_PATH = re.compile(r"[\x00-\x1f\x7f]|(?:^|/)\.{1,2}(?:/|$)")


def is_access(text: str) -> bool:
    """Whether it is some of the letters r, w and m, each once."""
    return _ACCESS.fullmatch(text) is not None


def parse_device(text: str) -> Json:
    """``HOST[:CONTAINER][:rwm]`` as an entry of HostConfig.Devices (docker/cli, parseLinuxDevice).

    Raises ValueError.
    """
    host, *rest = text.split(":")
    access = rest.pop() if rest and is_access(rest[-1]) else EVERYTHING
    if len(rest) > 1 or not host:
        raise ValueError(f"invalid device specification: {text}")
    return {"PathOnHost": host, "PathInContainer": rest[0] if rest else host, "CgroupPermissions": access}


def parse_rule(text: str) -> str:
    """A rule like ``c 42:* rmw``, as it is. Raises ValueError."""
    match = _RULE.fullmatch(text)
    if match is None or any(number != "*" and int(number) > _LARGEST for number in match.group(2, 3)):
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


def normal_device(item: Fields) -> Json:
    """An entry of HostConfig.Devices with docker's defaults filled in."""
    host = item.text("PathOnHost")
    return {
        "PathOnHost": host,
        "PathInContainer": item.text("PathInContainer", host),
        "CgroupPermissions": item.text("CgroupPermissions", EVERYTHING),
    }


def devices(host: Fields) -> tuple[HostDevice, ...]:
    """HostConfig.Devices, checked; whether they exist shows at the start."""
    return tuple(_device(item) for item in host.inners("Devices"))


def _device(item: Fields) -> HostDevice:
    entry = normal_device(item)
    source, target, access = entry["PathOnHost"], entry["PathInContainer"], entry["CgroupPermissions"]
    if "=" in source and not source.startswith("/"):
        raise item.lacking(f"--device {source[:64]!r}", "devices of CDI come later")
    for path in (source, target):
        if not path.startswith("/") or _ODD_IN_A_PATH.search(path):
            raise item.bad(f"--device {path[:64]!r} is not an absolute path")
    if not is_access(access):
        raise item.bad(f"--device {source[:64]!r} has {access[:16]!r}, which are not letters of rwm")
    return HostDevice(source, target, access)


def device_rules(host: Fields) -> tuple[str, ...]:
    """HostConfig.DeviceCgroupRules, checked."""
    try:
        return tuple(parse_rule(rule) for rule in host.texts("DeviceCgroupRules"))
    except ValueError as error:
        raise host.bad(f"--device-cgroup-rule: {error}") from None
