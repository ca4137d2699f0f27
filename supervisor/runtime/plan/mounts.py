"""The container's tree of mounts: defaults, covers that hide the daemon, files in /etc, the user's own."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from functools import lru_cache

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.kernel import mounts
from pysup.supervisor.runtime import devices, masks
from pysup.supervisor.runtime.plan import base
from pysup.supervisor.runtime.plan.facts import Facts, Step
from pysup.supervisor.runtime.plan.secrets import secret_steps
from pysup.supervisor.runtime.plan.sources import Sources
from pysup.supervisor.runtime.plan.user_mounts import user_mount
from pysup.supervisor.spec.container import ContainerSpec

INIT = "/sbin/docker-init"
_INIT_OF_SKELETON = "/run/docker-init"
ETC_FILES = ("hostname", "hosts", "resolv.conf")


def mount_steps(
    spec: ContainerSpec, facts: Facts, sources: Sources, staged: tuple[str, ...] = ()
) -> list[Step]:
    """Everything from /proc to the last volume, in an order in which nothing covers what it should not.

    ``staged``: what is ready elsewhere (stage.py), and moved here.
    """
    return [
        *(["place", top] for top in staged),
        *(step for one in fresh(spec, facts) for step in _off_stage(one, staged)),
        *covers(spec, facts),
        *([] if "/dev" in staged else device_steps(spec, facts)),
        *later(spec, facts, sources),
    ]


def on_stage(path: str, staged: tuple[str, ...]) -> bool:
    """Whether a path is made on the stage: all below what is staged but cgroups, which are the container's own."""
    return path in staged or (_is_inside(path, staged) and not within(path, base.CGROUPS))


def steps_on_stage(default: base.Default, staged: tuple[str, ...]) -> list[Step]:
    """What of a default mount is done on the stage."""
    if on_stage(default.target, staged):
        return [*default.ahead, *default.steps]
    return [*default.ahead] if _is_inside(default.target, staged) else []


def _off_stage(default: base.Default, staged: tuple[str, ...]) -> list[Step]:
    """The rest of it."""
    return [*default.ahead, *default.steps][len(steps_on_stage(default, staged)) :]


def _is_inside(path: str, staged: tuple[str, ...]) -> bool:
    return path.startswith(_inside(staged))


@lru_cache(maxsize=8)
def _inside(directories: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{directory}/" for directory in directories)


def _taken(spec: ContainerSpec) -> set[str]:
    return {mount.target for mount in spec.mounts}


def mask_steps(spec: ContainerSpec, facts: Facts) -> list[Step]:
    """Hide or write-protect what of /proc and /sys is not the container's; missing paths are skipped."""
    hide: list[Step] = [["mask", path] for path in masks.masked(spec.security, facts.machine.cpus)]
    return hide + [["read_only", path] for path in masks.read_only(spec.security)]


def fresh(spec: ContainerSpec, facts: Facts) -> Iterator[base.Default]:
    """A user's mount replaces a default at its place; one at /dev replaces all of /dev (moby WithMounts)."""
    taken = _taken(spec)
    own_dev = "/dev" in taken
    for default in base.defaults(spec, facts):
        if default.target not in taken and not (own_dev and within(default.target, "/dev")):
            yield default


def within(path: str, directory: str) -> bool:
    """Whether a clean absolute path is that directory, or below it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


# -- the daemon's own directories ----------------------------------------------------------------------------


def covers(spec: ContainerSpec, facts: Facts) -> Iterator[Step]:
    """Put an empty read-only tmpfs on each hidden directory that a layer shows, and /dev/null on each hidden file."""
    shown, flags = _shown(spec, facts.hidden), base.PLAIN | mounts.MS_RDONLY
    defaults = [default.target for default in base.defaults(spec, facts)] if shown else []
    for target in sorted(shown):
        if not any(within(target, mount) for mount in defaults):
            yield base.tmpfs(target, flags, "mode=555,size=4k")
    yield from (["mask", target] for target in sorted(_shown(spec, facts.hidden_files)))


def _shown(spec: ContainerSpec, hidden_paths: Iterable[str]) -> set[str]:
    return {
        posixpath.normpath("/" + posixpath.relpath(hidden, lower))
        for lower in spec.rootfs.lower
        for hidden in hidden_paths
        if within(hidden, lower) and hidden != lower
    }


# -- /dev ----------------------------------------------------------------------------------------------------


def device_steps(spec: ContainerSpec, facts: Facts) -> Iterator[Step]:
    """The usual nodes, unless /dev is the user's own, and the host's; those take the place of usual ones."""
    own_dev = "/dev" in _taken(spec)
    asked = {node.target: node for node in facts.devices if not (own_dev and within(node.target, "/dev"))}
    bound = base.is_confined(spec.namespaces, facts)
    if not own_dev:
        yield from (_usual(node, bound=bound) for node in devices.NODES if f"/dev/{node.name}" not in asked)
    for node in asked.values():
        yield _host_node(node, bound=bound)
    if not own_dev:
        for name, content in devices.LINKS:
            yield ["symlink", content, f"/dev/{name}"]


def _usual(node: devices.Device, *, bound: bool) -> Step:
    """A user namespace may not make device nodes: there the host's are bound."""
    path = f"/dev/{node.name}"
    return ["bind_device", path, path] if bound else ["device", path, devices.MODE, node.major, node.minor]


def _host_node(node: devices.HostNode, *, bound: bool) -> Step:
    """With the owner and the mode that it has on the host."""
    if bound:
        return ["bind_device", node.source, node.target]
    return ["device", node.target, node.mode, node.major, node.minor, node.uid, node.gid]


# -- files in /etc, --init, and what the user asked for ------------------------------------------------------


def later(spec: ContainerSpec, facts: Facts, sources: Sources) -> list[Step]:
    """In order of depth, so that a volume on /etc comes before the files in it (moby sortMounts)."""
    taken = _taken(spec)
    steps = [(f"/etc/{name}", _etc_file(spec, facts, sources, name)) for name in ETC_FILES]
    if spec.init:
        steps.append((init_path(spec, facts), _init(spec, facts, sources)))
    kept = [(target, step) for target, step in steps if target not in taken]
    kept += [(mount.target, user_mount(mount, facts, sources)) for mount in spec.mounts]
    ordered = [step for _, step in sorted(kept, key=lambda pair: pair[0].rstrip("/").count("/"))]
    return [*ordered, *secret_steps(spec)]


def _etc_file(spec: ContainerSpec, facts: Facts, sources: Sources, name: str) -> Step:
    source = f"{sources.name(facts.directory)}/etc/{name}"
    return base.bind(source, f"/etc/{name}", read_only=spec.rootfs.read_only, recursive=False)


def init_path(spec: ContainerSpec, facts: Facts) -> str:
    """Where docker has it; without root nothing can be made there in the host image, whose /run is fresh."""
    return _INIT_OF_SKELETON if facts.machine.skeleton and base.is_host_image(spec) else INIT


def _init(spec: ContainerSpec, facts: Facts, sources: Sources) -> Step:
    if not facts.machine.init:
        raise Unavailable("cannot use --init: no docker-init, tini or catatonit is installed")
    return base.bind(
        sources.name(facts.machine.init), init_path(spec, facts), read_only=True, recursive=False
    )
