"""Docker's units into the kernel's (opencontainers/cgroups utils.go, fs/ and fs2/; crun cgroup-resources.c). Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from pysup.supervisor.spec.resources import Resources

UNLIMITED = -1
_LEAST_SHARES, _MOST_SHARES = 2, 262144
_MOST_WEIGHT = 10000


def change_of(before: Resources, after: Resources) -> Resources:
    """What is to be written where ``before`` is in force: a limit that went is written as none.

    The number of processes is the only limit that an update can take away.
    """
    return replace(after, pids=UNLIMITED) if before.pids and after.pids is None else after


def weight_of_shares(shares: int) -> int:
    """cpu.shares (2 to 262144, 1024 is normal) as cpu.weight (1 to 10000, 100 is normal).

    A quadratic curve through the least, the normal and the largest value, on a logarithmic scale: 100 becomes
    17, where the straight line of older engines gave 4 (ConvertCPUSharesToCgroupV2Value).
    """
    if shares <= _LEAST_SHARES:
        return 1
    if shares >= _MOST_SHARES:
        return _MOST_WEIGHT
    power = math.log2(shares)
    return math.ceil(math.pow(10, (power * power + 125 * power) / 612 - 7 / 34))


def io_weight(weight: int) -> int:
    """blkio weight (10 to 1000) as io.weight (1 to 10000) (ConvertBlkIOToIOWeightValue)."""
    return 1 + (weight - 10) * 9999 // 990


def swap_alone(memory_and_swap: int, memory: int) -> str:
    """Docker's sum of memory and swap as memory.swap.max, which counts only the swap."""
    return "max" if memory_and_swap == UNLIMITED else str(max(memory_and_swap - memory, 0))


def memory_writes(memory: int | None, memory_and_swap: int | None, now: int) -> Iterator[tuple[str, int]]:
    """The two limits of version 1 in an order that the kernel takes: the sum is never below the memory.

    ``now`` is the sum in force: when it grows it goes first, when it shrinks it goes last.
    """
    sum_grows = memory_and_swap is not None and (memory_and_swap == UNLIMITED or memory_and_swap > now)
    limit = [("memory.limit_in_bytes", memory)] if memory is not None else []
    both = [("memory.memsw.limit_in_bytes", memory_and_swap)] if memory_and_swap is not None else []
    yield from both + limit if sum_grows else limit + both


def cpu_list(text: str) -> set[int]:
    """``0-3,5`` as numbers (cpuset(7), list format)."""
    numbers: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers
