"""Conversions of limits, and reading of what the kernel tells; all pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.errors import BadRequest, Unavailable
from pysup.supervisor.runtime.cgroups import convert, mounted, needs
from pysup.supervisor.spec.resources import Resources


@pytest.mark.parametrize(
    ("shares", "weight"), [(0, 1), (2, 1), (100, 17), (1024, 100), (262144, 10000), (10**6, 10000)]
)
def test_weight_of_shares(shares: int, weight: int) -> None:
    assert convert.weight_of_shares(shares) == weight


@given(st.integers(2, 262144), st.integers(2, 262144))
def test_weight_grows_with_the_shares(one: int, other: int) -> None:
    assert 1 <= convert.weight_of_shares(one) <= 10000
    assert one > other or convert.weight_of_shares(one) <= convert.weight_of_shares(other)


def test_io_weight_and_swap() -> None:
    assert (convert.io_weight(10), convert.io_weight(1000)) == (1, 10000)
    assert convert.swap_alone(-1, 5) == "max"
    assert convert.swap_alone(8, 5) == "3"
    assert convert.swap_alone(5, 5) == "0"


@given(*[st.integers(1, 1 << 40)] * 4, st.booleans())
def test_the_kernel_takes_the_order_of_memory_limits(
    memory: int,
    swap: int,
    now_memory: int,
    now_swap: int,
    unlimited: bool,
) -> None:
    """The sum is never below the memory, in between either."""
    limits = {"memory": now_memory, "sum": now_memory + now_swap}
    wanted = -1 if unlimited else memory + swap
    for file, value in convert.memory_writes(memory, wanted, limits["sum"]):
        limits["sum" if "memsw" in file else "memory"] = 1 << 62 if value == -1 else value
        assert limits["sum"] >= limits["memory"]
    assert limits["memory"] == memory


def test_cpu_list() -> None:
    assert convert.cpu_list("0-2,5\n") == {0, 1, 2, 5}
    assert convert.cpu_list("") == set()


LINE = "36 31 0:33 / {} rw,relatime shared:1 - {} none rw,{}"


def test_mounted() -> None:
    text = "\n".join([
        LINE.format("/sys/fs/cgroup/cpu,cpuacct", "cgroup", "cpu,cpuacct"),
        LINE.format("/sys/fs/cgroup/mem\\040ory", "cgroup", "memory"),
        LINE.format("/elsewhere", "cgroup", "memory"),
        LINE.format("/sys/fs/cgroup/systemd", "cgroup", "name=systemd"),
        LINE.format("/sys/fs/cgroup/unified", "cgroup2", "nsdelegate"),
    ])  # fmt: skip
    v1, unified = mounted.parse(text)
    assert [(one.path, one.controllers) for one in v1] == [
        ("/sys/fs/cgroup/cpu,cpuacct", ("cpu", "cpuacct")), ("/sys/fs/cgroup/mem ory", ("memory",)),
    ]  # fmt: skip
    assert unified == "/sys/fs/cgroup/unified"


@pytest.mark.parametrize(("version", "name"), [(1, "blkio"), (2, "io")])
def test_the_missing_controller_is_named(version: int, name: str) -> None:
    with pytest.raises(Unavailable, match=f"cannot limit block I/O: this machine has no {name} controller"):
        needs.check_controllers(Resources(blkio_weight=500), {"memory"}, version)
    needs.check_controllers(Resources(memory=1), {"memory"}, version)


def test_cpus_that_are_not_there() -> None:
    with pytest.raises(BadRequest, match="cannot limit the CPUs to 9: there are 0-1"):
        needs.check_sets(Resources(cpuset_cpus="9"), "0-1", "0")


@pytest.mark.parametrize("parent", ["", "/", "../x", "a/../../b", "./a"])
def test_a_parent_stays_below_the_mount(parent: str) -> None:
    with pytest.raises(BadRequest):
        needs.check_path(parent, "name")
    assert needs.check_path("/a//b/", "c") == "a/b/c"
