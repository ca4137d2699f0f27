"""What is another container's, in every combination of who has power over it: done once, in the right place. Pure."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.kernel import process
from pysup.supervisor.runtime import plan
from pysup.supervisor.runtime.plan.facts import Step
from pysup.supervisor.spec.container import ContainerSpec, Namespaces, Process, Rootfs
from pysup.supervisor.spec.id_maps import IdMap

KINDS = ("net", "ipc", "uts", "cgroup", "pid")
SHOWN = {"pid": "proc", "net": "sysfs", "ipc": "mqueue"}


def spec_of(joined: set[str], *, user: str) -> ContainerSpec:
    modes: dict[str, Any] = {kind: "container" if kind in joined else "private" for kind in KINDS}
    modes["net"] = "container" if "net" in joined else "none"
    maps = (IdMap(0, 100000, 65536),) if user == "private" else ()
    spaces = Namespaces(user=cast("Any", user), uid_maps=maps, gid_maps=maps, **modes)
    return ContainerSpec(
        hostname="box", process=Process(("true",)), rootfs=Rootfs(("/l/1",)), namespaces=spaces
    )


def facts_of(joined: set[str], foreign: set[str]) -> plan.Facts:
    held = tuple(kind for kind in KINDS if kind in joined and kind != "pid")
    known = foreign | ({plan.DONOR} if "ipc" in foreign else set())
    machine = plan.Machine(capabilities=())
    return plan.Facts(
        machine=machine, directory="/c", stage="/s", held=held, foreign=frozenset(known), donor_root=7
    )


def entered(steps: list[Step]) -> list[str]:
    return [step[1] for step in steps if step[0] == "setns" and step[2] == process.NAMESPACES[step[1]]]


@given(st.sets(st.sampled_from(KINDS)), st.sets(st.sampled_from(KINDS)))
def test_in_a_user_namespace(joined: set[str], others: set[str]) -> None:
    foreign = joined & others
    spec, facts = spec_of(joined, user="private"), facts_of(joined, foreign)
    outside, inside = plan.build_outside(spec, facts), plan.build(spec, facts)
    assert set(entered(outside)) == foreign - {"pid"}
    assert set(entered(inside)) == joined - foreign - {"pid"}
    assert {step[1] for step in outside if step[0] == "fresh"} == {
        SHOWN[kind] for kind in foreign if kind in SHOWN
    }
    made = {step[2] for step in outside if step[0] == "fresh"} | {
        step[3] for step in outside if step[0] == "borrow"
    }
    assert made == {step[3]["tree"] for step in inside if step[0] == "bind" and "tree" in step[3]}
    mounted = {step[1] for step in inside if step[0] == "mount"}
    assert {fstype for kind, fstype in SHOWN.items() if kind not in foreign} <= mounted
    assert mounted.isdisjoint({SHOWN[kind] for kind in foreign if kind in SHOWN})
    assert ("give_ids" in {step[0] for step in outside}) == ("ipc" in foreign)
    assert [step[0] for step in (*outside, *inside)].count("oom_score_adj") == 1


@given(st.sets(st.sampled_from(KINDS)), st.booleans())
def test_with_the_hosts_ids_there_is_power_over_all(joined: set[str], mapped_donor: bool) -> None:
    spec = spec_of(joined, user="host")
    facts = facts_of(joined, {"ipc"} & joined if mapped_donor else set())
    facts = plan.Facts(
        machine=facts.machine, directory="/c", stage="/s", held=facts.held,
        foreign=facts.foreign & {plan.DONOR}, donor_root=7,
    )  # fmt: skip
    steps = plan.build(spec, facts)
    assert plan.build_outside(spec, facts) == []
    assert set(entered(steps)) == joined - {"pid"}
    given_ids = [step for step in steps if step[0] == "give_ids"]
    assert given_ids == ([["give_ids", "shm", plan.EVERY_ID, 7]] if mapped_donor and "ipc" in joined else [])


@given(st.sets(st.sampled_from(KINDS)))
def test_what_is_joined_is_not_made(joined: set[str]) -> None:
    for user in ("host", "private"):
        flags = plan.clone_flags(spec_of(joined, user=user), facts_of(joined, set()).held)
        made = {kind for kind in KINDS if flags & process.NAMESPACES[kind]}
        assert made == set(KINDS) - joined - {"cgroup"}
