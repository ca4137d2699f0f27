"""The plan of an exec: a further process in the namespaces and cgroup of a running container."""

from __future__ import annotations

from pysup.supervisor.runtime.plan import namespaces
from pysup.supervisor.runtime.plan.facts import Facts, Step
from pysup.supervisor.runtime.plan.program import identity, joining, program
from pysup.supervisor.spec.container import ContainerSpec, Process

TARGET = "target"
"""The descriptor's name: the pidfd of the container's first process (setns(2), Linux 5.8)."""


def build_exec(process: Process, container: ContainerSpec, facts: Facts) -> list[Step]:
    """The steps of ``process`` in ``container``; spawned without flags, with ``join_pid`` as joins_pid()."""
    spaces = container.namespaces
    steps = [*joining(process, facts, container.security), ["setns", TARGET, namespaces.join_flags(spaces)]]
    if spaces.user == "private":
        steps.append(["user_namespace"])
    if process.tty:
        steps.append(["console"])
    return [*steps, *identity(process, first=False), *program(process, spaces, facts)]


def joins_pid(container: ContainerSpec) -> bool:
    """Whether the keeper must enter the container's pid namespace before it clones."""
    return container.namespaces.pid != "host"
