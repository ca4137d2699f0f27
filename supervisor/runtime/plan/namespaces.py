"""Which namespaces a process gets, and the ids in them (namespaces(7), user_namespaces(7))."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.kernel import process
from pysup.supervisor.runtime.plan.facts import Facts, Step
from pysup.supervisor.spec.container import ContainerSpec, Namespaces
from pysup.supervisor.spec.id_maps import IdMap

WHOLE_RANGE = (IdMap(0, 0, 0xFFFFFFFF),)
"""Without maps every id is itself: files keep their owners, and root has its capabilities only over what
belongs to the namespace."""


def clone_flags(spec: ContainerSpec, held: Iterable[str] = ()) -> int:
    """The namespaces that clone3(2) makes; not that of cgroups, whose root is where its maker is by then.

    ``held``: those that are there already.
    """
    names = own(spec.namespaces) - {"cgroup"} - set(held)
    spaces = spec.namespaces
    names -= {name for name in ("net", "pid", "ipc", "uts") if getattr(spaces, name) == "container"}
    return _flags(names)


def own(namespaces: Namespaces) -> set[str]:
    """Names (as in /proc/PID/ns) of those that a container does not share with the host."""
    modes = {
        "mnt": "private",
        "pid": namespaces.pid,
        "ipc": namespaces.ipc,
        "uts": namespaces.uts,
        "net": namespaces.net,
        "cgroup": namespaces.cgroup,
        "user": namespaces.user,
    }
    return {name for name, mode in modes.items() if mode != "host"}


def outliving(namespaces: Namespaces) -> tuple[str, ...]:
    """Those that stay while the container restarts.

    A network namespace belongs to the user namespace that it was made in, and only there it can be used: so
    that one stays with it.
    """
    user = ("user",) if namespaces.user == "private" else ()
    return (*user, "net") if has_network(namespaces) else user


def has_network(namespaces: Namespaces) -> bool:
    """Whether it has a network namespace of its own, which nobody else has made."""
    return namespaces.net in ("none", "bridge")


LAST_GROUP = 2147483647
"""The highest id that net.ipv4.ping_group_range takes."""


def network_steps(namespaces: Namespaces, facts: Facts) -> Iterator[Step]:
    """How a new network namespace begins; one that is held is so already.

    As with docker (moby daemon/oci_linux.go, WithSysctls), who is not root inside may ping, and have any port there.
    """
    if has_network(namespaces) and "net" not in facts.held:
        yield ["loopback"]
        yield ["default_sysctl", "net.ipv4.ip_unprivileged_port_start", "0"]
        yield ["default_sysctl", "net.ipv4.ping_group_range", f"0 {_last_group(namespaces, facts)}"]


def _last_group(namespaces: Namespaces, facts: Facts) -> int:
    """Both ends of a range must be groups that exist."""
    ends = (one.container + one.size - 1 for one in gid_maps(namespaces))
    return min(max(ends, default=facts.machine.last_group), LAST_GROUP)


def join_flags(namespaces: Namespaces) -> int:
    """What an exec takes over by setns(2) with the pidfd of the container's first process.

    All but the pid namespace, which the keeper entered before it cloned: it counts only for children.
    """
    return _flags(own(namespaces) - {"pid"})


def _flags(names: Iterable[str]) -> int:
    return sum(process.NAMESPACES[name] for name in names)


# -- ids -----------------------------------------------------------------------------------------------------


def uid_maps(namespaces: Namespaces) -> tuple[IdMap, ...]:
    """The maps of user ids; none outside of a user namespace of its own."""
    return (namespaces.uid_maps or namespaces.gid_maps or WHOLE_RANGE) if namespaces.user == "private" else ()


def gid_maps(namespaces: Namespaces) -> tuple[IdMap, ...]:
    """The maps of group ids, which are those of the users if there are none."""
    return (namespaces.gid_maps or namespaces.uid_maps or WHOLE_RANGE) if namespaces.user == "private" else ()


def map_text(maps: Iterable[IdMap]) -> str:
    """The content of /proc/PID/uid_map or gid_map."""
    return "".join(f"{one.container} {one.host} {one.size}\n" for one in maps)


def root_ids(namespaces: Namespaces) -> tuple[int, int]:
    """Host uid and gid of the container's root, who owns the write layer."""
    return host_id(uid_maps(namespaces), 0), host_id(gid_maps(namespaces), 0)


def host_id(maps: Iterable[IdMap], number: int, default: int | None = None) -> int:
    """What an id inside is outside. Raises BadRequest if it is not mapped, and there is no default."""
    found = _mapped(maps, number)
    if found is None and default is not None:
        return default
    if found is None:
        raise BadRequest(f"cannot map ids: the container's id {number} is not mapped")
    return found


def has_id(maps: Iterable[IdMap], number: int) -> bool:
    """Whether an id exists inside."""
    return _mapped(maps, number) is not None


def _mapped(maps: Iterable[IdMap], number: int) -> int | None:
    maps = tuple(maps)
    if not maps:
        return number
    for one in maps:
        if one.container <= number < one.container + one.size:
            return one.host + number - one.container
    return None
