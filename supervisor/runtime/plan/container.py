"""The plan of a container's first process, from the clone to its exec."""

from __future__ import annotations

from collections.abc import Iterator

from pysup.supervisor.kernel import process
from pysup.supervisor.runtime.plan.facts import LENT, Facts, Step
from pysup.supervisor.runtime.plan.mounts import init_path, mask_steps, mount_steps, on_stage
from pysup.supervisor.runtime.plan.namespaces import network_steps
from pysup.supervisor.runtime.plan.outside import borrowed
from pysup.supervisor.runtime.plan.program import identity, joining, program
from pysup.supervisor.runtime.plan.root import root_steps
from pysup.supervisor.runtime.plan.sources import Sources
from pysup.supervisor.runtime.plan.stage import Stage
from pysup.supervisor.spec.container import ContainerSpec


def build(spec: ContainerSpec, facts: Facts, stage: Stage | None = None) -> list[Step]:
    """The steps in their order, and the reasons for it; with a stage, those that come after its own.

    Propagation is cut before the first mount, so that none is seen on the host. The cgroups are joined before
    anything that a container chooses is done, so that no work of it escapes the limits; but after its layers are
    mounted, if its root is the host's. For that overlayfs makes directories on the disk, whose blocks stay in the page
    cache: charged to the container they would keep its cgroup in the kernel's memory after its end, 30 KiB each time.
    Kernel parameters are written before /proc/sys becomes read-only, masks come last of all mounts, and ids and
    capabilities are given up last of all. Raises Unavailable, BadRequest and NotSupported.
    """
    sources = Sources(spec.namespaces)
    staged = () if stage is None else stage.tops
    apart = [["propagation", _propagation(spec)]] if stage is None else []
    root = [*apart, *root_steps(spec, facts, sources)]
    mounted = mount_steps(spec, facts, sources, staged)
    mapped = spec.namespaces.user == "private"
    return [
        *([] if mapped else root),
        *joining(spec.process, facts, spec.security, scored=mapped),
        *([] if mapped else borrowed(spec, facts)),
        *_enter_namespaces(spec, facts, sources),
        *(root if mapped else []),
        *mounted,
        *_namespace_settings(spec, facts, staged=stage is not None),
        *([["console"]] if spec.process.tty else []),
        *(step for step in mask_steps(spec, facts) if not on_stage(step[1], staged)),
        *([["lend", LENT, "/dev/shm"]] if spec.namespaces.lends_memory else []),  # noqa: S108 - a mount point
        ["pivot"],
        *identity(spec.process, first=True),
        *([["read_only_root"]] if spec.rootfs.read_only else []),
        *program(spec.process, spec.namespaces, facts, _argv(spec, facts)),
    ]


def _argv(spec: ContainerSpec, facts: Facts) -> tuple[str, ...]:
    return (init_path(spec, facts), "--", *spec.process.argv) if spec.init else spec.process.argv


def _enter_namespaces(spec: ContainerSpec, facts: Facts, sources: Sources) -> Iterator[Step]:
    """The cgroup namespace begins in the cgroups just joined; ids are taken once all host paths are open."""
    if spec.namespaces.cgroup == "private":
        yield ["unshare", process.CLONE_NEWCGROUP]
    if spec.namespaces.user == "private":
        opened = sources.opened()
        yield ["user_namespace", opened] if opened else ["user_namespace"]
    for name in facts.held:
        if name not in facts.foreign:
            yield ["setns", name, process.NAMESPACES[name]]


def _propagation(spec: ContainerSpec) -> str:
    """Private, unless a bind is to see what the host mounts in it later (mount_namespaces(7)).

    Never shared, which would let the overlay appear on the host: what is to be shared comes as a mount of its own.
    """
    kinds = {mount.propagation.removeprefix("r") for mount in spec.mounts if mount.kind == "bind"}
    return "slave" if "slave" in kinds else "private"


def _namespace_settings(spec: ContainerSpec, facts: Facts, *, staged: bool) -> Iterator[Step]:
    """Names and kernel parameters of the new namespaces."""
    if spec.namespaces.uts == "private":
        yield ["hostname", spec.hostname]
        if spec.domainname:
            yield ["domainname", spec.domainname]
    if not staged:
        yield from network_steps(spec.namespaces, facts)
    for key, value in spec.sysctls:
        yield ["sysctl", key, value]
