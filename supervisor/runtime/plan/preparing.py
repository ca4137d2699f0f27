"""What must be made before a user namespace begins whose root is nobody on the host.

What belongs to ids that such a root does not have, it cannot change: it cannot make a missing mount target, or
working directory, next to it. That is so in a directory of the host, and in an image's layers where the kernel cannot
map their ids (root.needs_preparation()). So the mounts of the real plan are made once before, by the host's root, in a
mount namespace of its own that ends with it: what is made on the way stays where it is, and is the container's.
"""

from __future__ import annotations

from collections.abc import Iterator

from pysup.supervisor.runtime.plan import namespaces
from pysup.supervisor.runtime.plan.facts import Facts, Step
from pysup.supervisor.runtime.plan.mounts import covers, fresh, later, within
from pysup.supervisor.runtime.plan.root import root_steps
from pysup.supervisor.runtime.plan.sources import Sources
from pysup.supervisor.spec.container import ContainerSpec, Namespaces


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
