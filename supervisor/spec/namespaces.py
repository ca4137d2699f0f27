"""The namespace modes of HostConfig, the maps of ids, and the sysctls that follow from them. Pure."""

from __future__ import annotations

import itertools
import re
from typing import cast

from pysup.supervisor.spec.auto_ids import is_auto, maps_of, parse_auto
from pysup.supervisor.spec.container import IpcMode, JoinableMode, NamespaceMode, Namespaces
from pysup.supervisor.spec.fields import Fields, Json
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
JOINED_IDS = "JoinedIds"
"""The setting of pysup's that tells which ids a container shares (--userns container:X)."""
_MOST_LINES = 340
"""user_namespaces(7): the lines that a map can have."""
_IDS = (1 << 32) - 1
_WIDTH = 3


def namespaces(host: Fields) -> Namespaces:
    """Which namespaces are the container's own."""
    uids, gids = _id_maps(host)
    pid, pid_of = _joinable_mode(host, "PidMode")
    ipc, ipc_of = _ipc_mode(host)
    uts, uts_of = _joinable_mode(host, "UTSMode")
    cgroup, cgroup_of = _joinable_mode(host, "CgroupnsMode")
    return Namespaces(
        pid=pid,
        pid_of=pid_of,
        ipc=ipc,
        ipc_of=ipc_of,
        uts=uts,
        uts_of=uts_of,
        net=mode_of(host),
        cgroup=cgroup,
        cgroup_of=cgroup_of,
        user="private" if uids else "host",
        user_of=_user_of(host),
        user_auto=_has_range(host),
        uid_maps=uids,
        gid_maps=gids,
    )


def refuse_names(body: Fields) -> None:
    """Who has another one's host name has none of its own. Of a body as it was typed. Raises BadRequest."""
    if body.inner("HostConfig").text("UTSMode").startswith(CONTAINER):
        for key, flag in (("Hostname", "--hostname"), ("Domainname", "--domainname")):
            if body.text(key):
                raise body.bad(f"{flag} conflicts with --uts container: it would change the name of that one")


def _joinable_mode(host: Fields, key: str) -> tuple[JoinableMode, str]:
    mode = host.text(key, "private")
    if mode.startswith(CONTAINER):
        return "container", _container(host, key, mode)
    if mode not in ("private", "host"):
        raise host.bad(f"{_MODES[key]} {mode[:64]!r} is neither private, host nor container:NAME")
    return cast("JoinableMode", mode), ""


def _ipc_mode(host: Fields) -> tuple[IpcMode, str]:
    mode = host.text("IpcMode", "private")
    if mode.startswith(CONTAINER):
        return "container", _container(host, "IpcMode", mode)
    if mode not in ("private", "shareable", "none", "host"):
        raise host.bad(f"--ipc {mode[:64]!r} is neither private, shareable, none, host nor container:NAME")
    return cast("IpcMode", mode), ""


def _container(host: Fields, key: str, mode: str) -> str:
    """Its id, since the container was made (engine/containers/joined_modes.py)."""
    name = mode.removeprefix(CONTAINER)
    if not name:
        raise host.bad(f"{_MODES[key]} {mode!r} names no container")
    return name


def _user_of(host: Fields) -> str:
    """Where that one has the host's user namespace there is none to join."""
    mode = host.text("UsernsMode")
    if not mode.startswith(CONTAINER):
        return ""
    container = _container(host, "UsernsMode", mode)
    return container if host.inner("Pysup").raw(JOINED_IDS) else ""


def _has_range(host: Fields) -> bool:
    mode, joined = host.text("UsernsMode"), host.inner("Pysup").inner(JOINED_IDS)
    return bool(joined.raw("Range")) if mode.startswith(CONTAINER) else is_auto(mode)


def _user_mode(host: Fields) -> NamespaceMode:
    mode = host.text("UsernsMode", "private")
    if mode == "private":
        return "private"
    if mode != "host":
        raise host.lacking(f"--userns {mode[:64]!r}", "there are auto, private, host and container:NAME")
    return "host"


# -- maps of ids ---------------------------------------------------------------------------------------------


def _id_maps(host: Fields) -> tuple[tuple[IdMap, ...], tuple[IdMap, ...]]:
    """Uid and gid maps; one of them alone stands for both. Maps imply a namespace of its own."""
    mode = host.text("UsernsMode")
    own = host.inner("Pysup")
    if is_auto(mode):
        return _auto_maps(host, own, mode)
    if mode.startswith(CONTAINER):
        return _joined_maps(host, own)
    uids, gids = _id_map(own, "UidMaps", "--uidmap"), _id_map(own, "GidMaps", "--gidmap")
    if (uids or gids) and mode == "host":
        raise host.bad("--uidmap and --gidmap conflict with --userns host")
    if uids or gids:
        return uids or gids, gids or uids
    if not mode or _user_mode(host) == "host":
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


def _joined_maps(host: Fields, own: Fields) -> tuple[tuple[IdMap, ...], tuple[IdMap, ...]]:
    """Those of the other container, as they were when this one was made: they never change."""
    if own.raw("UidMaps") or own.raw("GidMaps"):
        raise host.bad(
            "--uidmap and --gidmap conflict with --userns container: the ids are those of that one"
        )
    joined = own.inner(JOINED_IDS)
    uids, gids = (_id_map(joined, key, f"--userns container: {key}") for key in ("UidMaps", "GidMaps"))
    return uids, gids


def joined_ids(theirs: Namespaces, chosen: Json) -> Json:
    """What --userns container:X keeps of X; empty if that has the host's ids. ``chosen``: X's range, empty: none."""
    if theirs.user == "host":
        return {}
    maps = {"UidMaps": theirs.uid_maps, "GidMaps": theirs.gid_maps}
    return {key: [list(line) for line in lines] for key, lines in maps.items()} | (
        {"Range": chosen} if chosen else {}
    )


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


def sysctl_space(name: str) -> str:
    """The namespace that a sysctl is one's own of: ``ipc``, ``net`` or ``uts``; empty: it is the machine's."""
    group, _, rest = name.partition(".")
    if (group == "kernel" and rest in _IPC) or name.startswith("fs.mqueue."):
        return "ipc"
    if group == "net" and rest:
        return "net"
    return "uts" if name == "kernel.domainname" else ""


def with_dots(sysctl: str) -> str:
    """``net/ipv4/ip_forward`` is the same as ``net.ipv4.ip_forward``."""
    return sysctl if "." in sysctl else sysctl.replace("/", ".")


def _sysctl(host: Fields, key: str, spaces: Namespaces) -> str:
    name = with_dots(key)
    if not _SYSCTL.fullmatch(name) or ".." in name:
        raise host.bad(f"--sysctl {key[:64]!r} is not the name of a sysctl")
    match sysctl_space(name):
        case "ipc":
            return _owned(host, name, "--ipc", spaces.ipc)
        case "net":
            return _owned(host, name, "--network", spaces.net)
        case "uts":
            return _owned(host, name, "--uts", spaces.uts)
        case _:
            raise host.bad(f"--sysctl {name!r} is not one that a container can have of its own")


def _owned(host: Fields, name: str, flag: str, mode: str) -> str:
    if mode in ("host", "container"):
        raise host.bad(f"--sysctl {name!r} conflicts with {flag} host or container: it is not its own")
    return name


def _sysctl_value(host: Fields, key: str, value: str) -> str:
    if len(value) > _VALUE_LENGTH or "\n" in value:
        raise host.bad(f"--sysctl {key[:64]!r} has a value that is too long or more than one line")
    return value
