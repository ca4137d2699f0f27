"""What must be made before a user namespace begins whose root is nobody on the host.

What an image's layer holds belongs to ids that such a root does not have: it cannot make a missing mount target, or
working directory, next to it. So the mounts of the real plan are made once before, by the host's root, in a mount
namespace of its own that ends with it: what is made on the way stays in the write layer, and is the container's.
"""

from __future__ import annotations

from collections.abc import Iterator

from pysup.supervisor.runtime.plan import namespaces
from pysup.supervisor.runtime.plan.facts import Facts, Step
from pysup.supervisor.runtime.plan.mounts import covers, fresh, later, within
from pysup.supervisor.runtime.plan.root import root_steps
from pysup.supervisor.runtime.plan.sources import Sources
from pysup.supervisor.spec.container import ContainerSpec, Namespaces


def needs_preparation(spec: ContainerSpec) -> bool:
    """Whether the container's root is somebody else on the host."""
    return namespaces.root_ids(spec.namespaces) != (0, 0)


def build_preparation(spec: ContainerSpec, facts: Facts) -> list[Step]:
    """The steps, for a process with nothing but a mount namespace; it waits at "ready" until it is ended."""
    sources = Sources(Namespaces())
    return [
        ["propagation", "private"],
        ["owner", *namespaces.root_ids(spec.namespaces)],
        *root_steps(spec, facts, sources, lasting=False),
        *_fresh_tmpfs(spec, facts),
        *covers(spec, facts),
        *later(spec, facts, sources),
        ["workdir", spec.process.cwd],
        ["ready"],
    ]


def _fresh_tmpfs(spec: ContainerSpec, facts: Facts) -> Iterator[Step]:
    """What is made in /dev, /run or /tmp is to be made in the real ones; /proc and /sys have all they need."""
    for step in (step for default in fresh(spec, facts) for step in default.steps):
        if step[:2] == ["mount", "tmpfs"] and not within(step[3], "/sys"):
            yield step
