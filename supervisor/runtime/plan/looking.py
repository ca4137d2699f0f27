"""Plans of helpers through which a container's files are looked at: they wait at "ready" until they are ended.

A helper loads nothing, and does nothing but wait, once it is where the container's files are.
"""

from __future__ import annotations

from collections.abc import Iterator

from pysup.supervisor.kernel.process import CLONE_NEWNS
from pysup.supervisor.runtime.plan import base, namespaces
from pysup.supervisor.runtime.plan.facts import Facts, Step
from pysup.supervisor.runtime.plan.joining import TARGET
from pysup.supervisor.runtime.plan.mounts import covers, later, within
from pysup.supervisor.runtime.plan.root import LAYER, root_steps, root_target
from pysup.supervisor.runtime.plan.sources import Sources
from pysup.supervisor.spec.container import ContainerSpec, Namespaces

_OF_THE_MACHINE = ("/dev", "/proc", "/run", "/sys", "/tmp")  # noqa: S108 - paths in an image


def build_visit() -> list[Step]:
    """Into the mount namespace of a container that runs: all is seen as inside, with what is mounted there."""
    return [["setns", TARGET, CLONE_NEWNS], ["ready"]]


def build_copy_of_root(spec: ContainerSpec, facts: Facts) -> list[Step]:
    """The same, for detached mounts of its root alone, without what is mounted in it: ``layer``, ``layer0``, …"""
    kept: list[Step] = [["keep", LAYER, {}]]
    for name, point in further(spec, facts).items():
        kept.append(["keep", name, {"at": point}])
    return [["setns", TARGET, CLONE_NEWNS], *kept, ["ready"]]


def further(spec: ContainerSpec, facts: Facts) -> dict[str, str]:
    """The mount points of further file systems by the name of their mounts, save where a volume covers one."""
    taken = [mount.target for mount in spec.mounts]
    return {
        f"{LAYER}{number}": point
        for number, (point, _flags) in enumerate(facts.below)
        if not any(within(point, target) for target in taken)
    }


def build_at_rest(spec: ContainerSpec, facts: Facts, *, volumes: bool) -> list[Step]:
    """The root of a container that does not run, in a mount namespace of the helper's own; with its volumes, or not.

    What is in memory is not there: a copy into it would be gone with the helper.
    """
    sources = Sources(Namespaces())
    mapped = namespaces.root_ids(spec.namespaces) != (0, 0)
    return [
        ["propagation", "private"],
        *([["owner", *namespaces.root_ids(spec.namespaces)]] if mapped else []),
        *root_steps(spec, facts, sources, lasting=spec.namespaces.user == "host"),
        *covers(spec, facts),
        *(_of_the_machine(spec) if volumes else ()),
        *(step for step in later(spec, facts, sources) if volumes and _lasts(step)),
        ["enter", root_target(spec, facts, sources)],  # from where the last mount was made
        ["ready"],
    ]


def _lasts(step: Step) -> bool:
    return step[0] not in {"secrets", "show"} and step[:2] != ["mount", "tmpfs"]


def _of_the_machine(spec: ContainerSpec) -> Iterator[Step]:
    """Where each run of the host image has something of its own, there is nothing while it rests."""
    if base.is_host_image(spec):
        yield from (["mask", target] for target in _OF_THE_MACHINE)


def not_exported(spec: ContainerSpec, facts: Facts) -> frozenset[str]:
    """Directories whose content is the machine's, or pysup's, and not the container's."""
    covered = {step[3] for step in covers(spec, facts) if step[0] == "mount"}
    return frozenset(covered.union(_OF_THE_MACHINE if base.is_host_image(spec) else ()))
