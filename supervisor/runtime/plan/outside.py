"""What must be done before the process is in its user namespace, whose root has no power over what is others'.

By the keeper's helper, which enters it then and makes the process there (keeper/births.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from pysup.supervisor.kernel import process
from pysup.supervisor.kernel.mounts import (
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
)
from pysup.supervisor.runtime.plan.base import OTHER_PROC, OTHER_QUEUES, OTHER_SYS, SHARED_MEMORY
from pysup.supervisor.runtime.plan.facts import DONOR, EVERY_ID, LENT, USER, Facts, Step
from pysup.supervisor.runtime.plan.program import score
from pysup.supervisor.spec.container import ContainerSpec

_PLAIN = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
_SHOWN = (
    ("pid", "proc", OTHER_PROC, _PLAIN),
    ("net", "sysfs", OTHER_SYS, _PLAIN | MOUNT_ATTR_RDONLY),
    ("ipc", "mqueue", OTHER_QUEUES, _PLAIN),
)
"""Namespaces, and the file systems that show them."""


def build_outside(spec: ContainerSpec, facts: Facts) -> list[Step]:
    """The steps; none without a user namespace of its own."""
    if spec.namespaces.user == "host":
        return []
    return [
        score(spec.process, facts),
        *(["setns", name, process.NAMESPACES[name]] for name in facts.held if name in facts.foreign),
        *(["fresh", fstype, name, flags] for space, fstype, name, flags in _SHOWN if space in facts.foreign),
        *borrowed(spec, facts),
    ]


def borrowed(spec: ContainerSpec, facts: Facts) -> Iterator[Step]:
    """What is another container's is taken while there is nothing of this one's that could be in the way.

    Its memory belongs to its ids: other ones cannot even make a file there, so they are shown their own.
    """
    if spec.namespaces.ipc == "container":
        yield ["borrow", DONOR, LENT, SHARED_MEMORY]
        if DONOR in facts.foreign:
            user = USER if spec.namespaces.user == "private" else EVERY_ID
            yield ["give_ids", SHARED_MEMORY, user, facts.donor_root]
