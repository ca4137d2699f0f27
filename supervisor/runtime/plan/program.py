"""The end of every plan: from the set-up root to the program (credentials(7), capabilities(7), execve(2))."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pysup.supervisor.runtime.plan.facts import SECCOMP, Facts, Machine, Step
from pysup.supervisor.spec.container import Namespaces, Process, Security


def joining(process: Process, facts: Facts, security: Security, *, scored: bool = False) -> list[Step]:
    """Early steps: limits hold from here on, and the host's /proc and ids are still there.

    What is written to files of /proc/self is written here, where no container can have covered them. ``scored``:
    it has its score for the OOM killer already.
    """
    steps: list[Step] = [["join_cgroups", list(facts.cgroup_tasks)]] if facts.cgroup_tasks else []
    steps += [] if scored else [score(process, facts)]
    return [*steps, ["apparmor", security.apparmor]] if security.apparmor else steps


def score(process: Process, facts: Facts) -> Step:
    """How dear it is to the OOM killer."""
    return ["oom_score_adj", process.oom_score_adj or max(0, facts.machine.oom_score)]


def identity(process: Process, *, first: bool) -> list[Step]:
    """Look the user up; go to the working directory, which root makes for the ``first`` process, as docker does."""
    return [["user", process.user, list(process.groups)], ["workdir", process.cwd, first]]


def program(
    process: Process, spaces: Namespaces, facts: Facts, argv: Sequence[str] | None = None
) -> list[Step]:
    """Limits, credentials and what cannot be taken back; then wait for the engine, then exec."""
    return [
        *(["rlimit", limit.name, limit.soft, limit.hard] for limit in process.rlimits),
        ["umask", process.umask],
        *_privileges(process, spaces, facts),
        ["ready"],
        ["exec", list(argv or process.argv), list(process.env), process.cwd],
    ]


def _privileges(process: Process, spaces: Namespaces, facts: Facts) -> list[Step]:
    """A filter needs no_new_privs or CAP_SYS_ADMIN (seccomp(2)): without the one, while the other lasts."""
    credentials: Step = ["credentials", bounding(process.capabilities, spaces, facts.machine)]
    seccomp: list[Step] = [] if facts.seccomp is None else [["seccomp", SECCOMP, facts.seccomp]]
    if process.no_new_privileges:
        return [credentials, ["no_new_privileges"], *seccomp]
    return [*seccomp, credentials]


def bounding(wanted: Iterable[str], spaces: Namespaces, machine: Machine) -> list[str]:
    """What the process can ever have: no more than the daemon; a user namespace begins with a full set."""
    if spaces.user == "private":
        return sorted(wanted)
    return sorted(set(wanted) & set(machine.capabilities))
