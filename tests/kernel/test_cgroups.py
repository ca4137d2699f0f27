"""Cgroups on the real kernel, on whichever version detect() finds (the v2 guest runs these too)."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.planned import cgroup_of, cgroup_parent

from pysup.supervisor.errors import BadRequest, Conflict, PysupError
from pysup.supervisor.runtime.cgroups.base import Cgroup
from pysup.supervisor.spec.resources import DeviceRate, Resources

pytestmark = [pytest.mark.kernel, pytest.mark.vm]
MIB = 1 << 20


@contextmanager
def member(
    cgroup: Cgroup, script: str = "exec sleep 1000", directory: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is in the cgroup before its program begins; it has begun when this returns."""
    paths = cgroup.join_paths or (f"{directory or cgroup.views[0].directory}/cgroup.procs",)
    joins = "; ".join(f"echo 0 > {path}" for path in paths)
    process = subprocess.Popen(["sh", "-ec", f"{joins}; echo in; {script}"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"in\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def directories(cgroup: Cgroup) -> list[Path]:
    return [Path(view.directory) for view in cgroup.views]


async def test_life() -> None:
    async with cgroup_of(Resources()) as cgroup:
        with member(cgroup) as process:
            assert cgroup.processes() == [process.pid]
            await cgroup.freeze()
            assert cgroup.is_frozen()  # type: ignore[attr-defined]
            await cgroup.thaw()
            await cgroup.kill(signal.SIGTERM)
            assert process.wait() == -signal.SIGTERM
        assert cgroup.processes() == []


async def test_kill_reaches_the_frozen_and_their_children() -> None:
    async with cgroup_of(Resources()) as cgroup:
        with member(cgroup, "for i in 1 2 3; do sleep 1000 & done; wait") as process:
            await cgroup.freeze()
            await cgroup.kill(signal.SIGKILL)
            assert cgroup.processes() == []
            assert process.wait() == -signal.SIGKILL


async def test_what_is_remembered_of_a_run_outlives_what_is_silent() -> None:
    """An engine that dies before the end is committed leaves the next one all that the row is to have."""
    async with cgroup_of(Resources()) as cgroup:
        with member(cgroup):
            cgroup.remove_silent()
            assert all(directory.is_dir() for directory in directories(cgroup)), "it was in use"
        before = cgroup.final_usage()
        cgroup.remove_silent()
        assert before.cpu_ns > 0
        assert (cgroup.final_usage().cpu_ns, cgroup.final_usage().memory_peak) == before
        names = {
            name for view in cgroup.views if Path(view.directory).is_dir() for name in view.data.split(",")
        }
        assert names & {"cpuacct", "memory", "pids", "freezer"} <= {"cpuacct", "memory"}
        await cgroup.remove()
        assert not any(directory.is_dir() for directory in directories(cgroup))


async def test_remove_takes_cgroups_below_along() -> None:
    async with cgroup_of(Resources()) as cgroup:
        for directory in directories(cgroup):
            (directory / "a" / "b").mkdir(parents=True)
        await cgroup.remove()
        assert not any(directory.exists() for directory in directories(cgroup))
        await cgroup.remove()
        assert cgroup.usage().memory == cgroup.oom_kills() == 0


def test_a_failed_creation_leaves_nothing() -> None:
    with cgroup_parent() as (hierarchy, parent):
        with pytest.raises(BadRequest, match="/dev/null: it is not a block device"):
            hierarchy.create(parent, "c", Resources(read_bps=(DeviceRate("/dev/null", 1),)))
        with pytest.raises(BadRequest, match="cannot limit the CPUs to 4000"):
            hierarchy.check(Resources(cpuset_cpus="4000"))
        assert hierarchy.leftovers(parent) == []


async def test_leftovers_are_found_and_replaced() -> None:
    with cgroup_parent() as (hierarchy, parent):
        hierarchy.create(parent, "c", Resources(pids=7)).close()
        assert hierarchy.leftovers(parent) == ["c"]
        fresh = hierarchy.create(parent, "c", Resources())
        assert fresh.usage().pids_limit == 0
        with member(fresh), pytest.raises(Conflict, match="has processes"):
            hierarchy.create(parent, "c", Resources())
        await hierarchy.open(parent, "c").remove()
        fresh.close()
        assert hierarchy.leftovers(parent) == []


async def test_memory_goes_up_and_down() -> None:
    async with cgroup_of(Resources(memory=64 * MIB, memory_swap=96 * MIB)) as cgroup:
        for memory, swap in ((256, 512), (32, 64), (300, -1), (20, 20)):
            cgroup.apply(Resources(memory=memory * MIB, memory_swap=swap if swap < 0 else swap * MIB))
            assert cgroup.usage().memory_limit == memory * MIB


async def test_usage() -> None:
    async with cgroup_of(Resources(pids=50, cpu_quota=50_000, cpu_period=100_000)) as cgroup:
        with member(
            cgroup, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo; exec sleep 1000"
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            used = cgroup.usage()
            assert (used.pids, used.pids_limit) == (1, 50)
            assert used.memory > 0
            assert used.memory_stat
            assert 0 < used.cpu_ns < used.machine_cpu_ns
            assert used.cpus_online == os.cpu_count()
            assert cgroup.final_usage().cpu_ns >= used.cpu_ns


async def test_an_unusable_limit_is_an_error_of_ours() -> None:
    """Whatever a limit runs into (no BFQ, no swap accounting), the text begins as all do."""
    with cgroup_parent() as (hierarchy, parent):
        for wanted in (Resources(blkio_weight=500), Resources(memory=64 * MIB, memory_swap=65 * MIB)):
            refusal = ""
            try:
                await hierarchy.create(parent, "c", wanted).remove()
            except PysupError as error:
                refusal = str(error)
            assert not refusal or refusal.startswith("cannot limit ")
            assert hierarchy.leftovers(parent) == []


async def test_parents_that_were_made_go_with_the_last_child_and_others_stay() -> None:
    with cgroup_parent() as (hierarchy, parent):
        hierarchy.prepare(parent)
        first = hierarchy.create(f"{parent}/a/b", "one", Resources())
        tops = [path.parents[2] for path in directories(first)]
        (tops[0] / "foreign").mkdir()
        second = hierarchy.create(f"{parent}/a", "two", Resources())
        third = hierarchy.create(f"{parent}/foreign", "three", Resources())
        for cgroup in (first, third):
            await cgroup.remove()
        assert not (tops[0] / "a/b").exists()
        assert (tops[0] / "a/two").exists()
        await second.remove()
        assert [path for top in tops for path in top.iterdir() if path.is_dir()] == [tops[0] / "foreign"]
        (tops[0] / "foreign").rmdir()
        assert all(top.exists() for top in tops)


async def test_the_daemon_s_own_parent_goes_with_the_daemon_if_nothing_is_in_it() -> None:
    with cgroup_parent() as (hierarchy, parent):
        root = f"{parent}/outer/root"
        hierarchy.prepare(parent)
        hierarchy.prepare(root)
        hierarchy.prepare(root)
        one = hierarchy.create(root, "one", Resources())
        (directory, *_) = directories(one)
        hierarchy.release(root)
        assert directory.is_dir()
        await one.remove()
        assert directory.parent.is_dir(), "the daemon lives on"
        somebody_s = directory.parent.parent / "somebody's"
        somebody_s.mkdir()
        hierarchy.release(root)
        assert not directory.parent.exists()
        assert somebody_s.is_dir()
        somebody_s.rmdir()
        somebody_s.parent.rmdir()
