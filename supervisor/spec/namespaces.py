"""The namespace modes of HostConfig, the maps of ids, and the sysctls that follow from them. Pure."""

from __future__ import annotations

import itertools
import re
from typing import cast

from pysup.supervisor.spec.auto_ids import is_auto, maps_of, parse_auto
from pysup.supervisor.spec.container import IpcMode, NamespaceMode, Namespaces, PidMode
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.id_maps import IdMap
from pysup.supervisor.spec.network import CONTAINER, mode_of

_EXAMPLE = "give --userns auto, or --uidmap 0:100000:65536"
_MODES = {
    "PidMode": "--pid",
    "IpcMode": "--ipc",
    "UTSMode": "--uts",
    "CgroupnsMode": "--cgroupns",
    "UsernsMode": "--userns",
}
_MOST_LINES = 340
"""user_namespaces(7): the lines that a map can have."""
_IDS = (1 << 32) - 1
_WIDTH = 3


def namespaces(host: Fields) -> Namespaces:
    """Which namespaces are the container's own."""
    uids, gids = _id_maps(host)
    if uids and mode_of(host) == "container":
        raise host.bad(
            "--network container: conflicts with a user namespace of its own: "
            "the network belongs to another one; give --userns host"
        )
    pid, pid_of = _pid_mode(host)
    ipc, ipc_of = _ipc_mode(host)
    for flag, shared in (("--pid", pid_of), ("--ipc", ipc_of)):
        if uids and shared:
            raise host.bad(
                f"{flag} container: conflicts with a user namespace of its own; give --userns host"
            )
    return Namespaces(
        pid=pid,
        pid_of=pid_of,
        ipc=ipc,
        ipc_of=ipc_of,
        uts=_mode(host, "UTSMode"),
        net=mode_of(host),
        cgroup=_mode(host, "CgroupnsMode"),
        user="private" if uids else "host",
        user_auto=is_auto(host.text("UsernsMode")),
        uid_maps=uids,
        gid_maps=gids,
    )


def _pid_mode(host: Fields) -> tuple[PidMode, str]:
    mode = host.text("PidMode", "private")
    if mode.startswith(CONTAINER):
        return "container", _container(host, "PidMode", mode)
    if mode not in ("private", "host"):
        raise host.bad(f"--pid {mode[:64]!r} is neither private, host nor container:NAME")
    return cast("PidMode", mode), ""


def _ipc_mode(host: Fields) -> tuple[IpcMode, str]:
    mode = host.text("IpcMode", "private")
    if mode.startswith(CONTAINER):
        return "container", _container(host, "IpcMode", mode)
    if mode not in ("private", "shareable", "none", "host"):
        raise host.bad(f"--ipc {mode[:64]!r} is neither private, shareable, none, host nor container:NAME")
    return cast("IpcMode", mode), ""


def _container(host: Fields, key: str, mode: str) -> str:
    """Its id, since the container was made (engine/networks/joining.py)."""
    name = mode.removeprefix(CONTAINER)
    if not name:
        raise host.bad(f"{_MODES[key]} {mode!r} names no container")
    return name


def _mode(host: Fields, key: str) -> NamespaceMode:
    mode = host.text(key, "private")
    if mode == "private":
        return "private"
    if mode != "host":
        modes = "there are auto, private and host" if key == "UsernsMode" else "there is private and host"
        raise host.lacking(f"{_MODES[key]} {mode[:64]!r}", modes)
    return "host"


# -- maps of ids ---------------------------------------------------------------------------------------------


def _id_maps(host: Fields) -> tuple[tuple[IdMap, ...], tuple[IdMap, ...]]:
    """Uid and gid maps; one of them alone stands for both. Maps imply a namespace of its own."""
    mode = host.text("UsernsMode")
    own = host.inner("Pysup")
    if is_auto(mode):
        return _auto_maps(host, own, mode)
    uids, gids = _id_map(own, "UidMaps", "--uidmap"), _id_map(own, "GidMaps", "--gidmap")
    if (uids or gids) and mode == "host":
        raise host.bad("--uidmap and --gidmap conflict with --userns host")
    if uids or gids:
        return uids or gids, gids or uids
    if not mode or _mode(host, "UsernsMode") == "host":
        return (), ()
    raise host.bad(f"--userns private needs to know which ids of the host are its own: {_EXAMPLE}")


def _auto_maps(host: Fields, own: Fields, mode: str) -> tuple[tuple[IdMap, ...], tuple[IdMap, ...]]:
    """The range was chosen when the container was made (engine/containers/user_mode.py)."""
    if own.raw("UidMaps") or own.raw("GidMaps"):
        raise host.bad("--uidmap and --gidmap conflict with --userns auto: there is auto:uidmapping=…")
    try:
        auto = parse_auto(mode)
    except ValueError as error:
        raise host.bad(str(error)) from None
    chosen = own.inner("IdRange")
    start, size = chosen.integer("Start"), chosen.integer("Size")
    if not 0 < start < start + size <= _IDS:
        raise host.bad("--userns auto: no range of ids was chosen for it")
    return tuple(
        _checked(own, flag, maps_of(start, size, given))
        for flag, given in (
            ("--userns auto: uidmapping", auto.uids),
            ("--userns auto: gidmapping", auto.gids),
        )
    )  # type: ignore[return-value]


def _id_map(own: Fields, key: str, flag: str) -> tuple[IdMap, ...]:
    lines = own.raw(key) or []
    if not isinstance(lines, list) or len(lines) > _MOST_LINES:
        raise own.bad(f"{flag} must be a list of at most {_MOST_LINES} ranges")
    maps = tuple(_line(own, flag, line) for line in lines)
    return _checked(own, flag, maps) if maps else ()


def _checked(own: Fields, flag: str, maps: tuple[IdMap, ...]) -> tuple[IdMap, ...]:
    for side in ("container", "host"):
        _refuse_overlap(own, flag, sorted((getattr(one, side), one.size) for one in maps))
    if not any(one.container == 0 for one in maps):
        raise own.bad(f"{flag} does not map the container's id 0, as which it is set up")
    return maps


def _line(own: Fields, flag: str, line: object) -> IdMap:
    if not isinstance(line, list) or len(line) != _WIDTH or not all(type(number) is int for number in line):
        raise own.bad(f"{flag} must be made of lists of three integers: container, host, size")
    container, host, size = line
    if min(line) < 0 or size == 0 or max(container, host) + size > _IDS:
        raise own.bad(f"{flag} {container}:{host}:{size} is not a range of ids")
    return IdMap(container, host, size)


def _refuse_overlap(own: Fields, flag: str, ranges: list[tuple[int, int]]) -> None:
    for (first, size), (second, _) in itertools.pairwise(ranges):
        if first + size > second:
            raise own.bad(f"{flag} has ranges that overlap at id {second}")


# -- sysctls -------------------------------------------------------------------------------------------------

_IPC = frozenset(("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"))
_SYSCTL = re.compile(r"[a-z0-9_-]+([./][A-Za-z0-9_@:-]+)+", re.ASCII)
_VALUE_LENGTH = 4096


def sysctls(host: Fields, spaces: Namespaces) -> tuple[tuple[str, str], ...]:
    """HostConfig.Sysctls: only those that belong to a namespace which is the container's own."""
    pairs = host.mapping("Sysctls").items()
    return tuple((_sysctl(host, key, spaces), _sysctl_value(host, key, value)) for key, value in pairs)


def _sysctl(host: Fields, key: str, spaces: Namespaces) -> str:
    name = key.replace("/", ".") if "." not in key else key
    if not _SYSCTL.fullmatch(name) or ".." in name:
        raise host.bad(f"--sysctl {key[:64]!r} is not the name of a sysctl")
    group, _, rest = name.partition(".")
    if (group == "kernel" and rest in _IPC) or name.startswith("fs.mqueue."):
        return _owned(host, name, "--ipc", "host" if spaces.ipc in ("host", "container") else "private")
    if group == "net":
        return _owned(host, name, "--network", "host" if spaces.net in ("host", "container") else "private")
    if name == "kernel.domainname":
        return _owned(host, name, "--uts", spaces.uts)
    raise host.bad(f"--sysctl {name!r} is not one that a container can have of its own")


def _owned(host: Fields, name: str, flag: str, mode: NamespaceMode) -> str:
    if mode == "host":
        raise host.bad(f"--sysctl {name!r} conflicts with {flag} host or container: it is not its own")
    return name


def _sysctl_value(host: Fields, key: str, value: str) -> str:
    if len(value) > _VALUE_LENGTH or "\n" in value:
        raise host.bad(f"--sysctl {key[:64]!r} has a value that is too long or more than one line")
    return value
