"""Run as a program: kill the copying process again and again while somebody writes, then compare every byte.

    log_torture.py DIRECTORY KILLS SEED pipes|terminal  ->  one line of JSON

This process holds the pipes, as the keeper does. It forks a writer, and pumps one after the other, each killed
with SIGKILL at a random instant. It is a process of its own because it forks: a test run has threads.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import struct
import sys
import time
import tty
from collections.abc import Callable, Iterator

import trio

from pysup.supervisor.logs.pump import pump
from pysup.supervisor.logs.reader import LogReader, Query
from pysup.supervisor.logs.writer import LogWriter

BLOCK = random.Random(0).randbytes(1 << 20)
LONGEST_LIFE = 0.01
ENOUGH = 100_000
"""Bytes of log: where others keep the machine busy, most pumps are killed before they have copied anything."""
Relay = tuple[int, int]
Output = tuple[int, int, Relay | None]


def messages(seed: int, streams: int) -> Iterator[tuple[int, bytes]]:
    """What the writer writes, in its order; who has the seed knows it all."""
    rng = random.Random(seed)
    while True:
        start, size = rng.randrange(1 << 19), int(rng.expovariate(1 / 2000)) + 1
        yield rng.randint(1, streams), BLOCK[start : start + size]


def fork(child: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        child()
    finally:
        os._exit(0)


def write_until_told(ends: dict[int, int], seed: int, stop: int, result: int) -> None:
    count = 0
    for stream, data in messages(seed, len(ends)):
        if select.select([stop], [], [], 0)[0]:
            break
        write_all(ends[stream], data)
        count += 1
    os.write(result, struct.pack("q", count))


def write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def copy(directory: str, outputs: list[Output]) -> None:
    async def main() -> None:
        writer = LogWriter.open(directory, max_size=1 << 20, max_files=1 << 20)
        async with trio.open_nursery() as nursery:
            for fd, stream, relay in outputs:
                nursery.start_soon(pump, fd, stream, writer, relay)

    trio.run(main)


def open_outputs(kind: str) -> tuple[dict[int, int], list[Output]]:
    """The writer's ends by stream, and what the pump gets."""
    if kind == "terminal":
        master, slave = os.openpty()
        tty.setraw(slave)
        return {1: slave}, [(master, 1, os.pipe())]
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    return {1: out_end, 2: err_end}, [(out, 1, None), (err, 2, None)]


def torture(directory: str, kills: int, seed: int, kind: str) -> dict[str, object]:
    ends, outputs = open_outputs(kind)
    (stop, stop_end), (result, result_end) = os.pipe(), os.pipe()
    rng = random.Random(seed + 1)
    writer = fork(lambda: write_until_told(ends, seed, stop, result_end))
    for end in ends.values():
        os.close(end)
    while kills > 0 or size_of(directory) < ENOUGH:
        kills -= 1
        pid = fork(lambda: copy(directory, outputs))
        time.sleep(rng.uniform(0, LONGEST_LIFE))  # not to wait for something: the instant is the experiment
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os.write(stop_end, b".")
    os.waitpid(fork(lambda: copy(directory, outputs)), 0)
    os.waitpid(writer, 0)
    (count,) = struct.unpack("q", os.read(result, 8))
    return compare(directory, seed, len(ends), count)


def size_of(directory: str) -> int:
    return sum(entry.stat().st_size for entry in os.scandir(directory)) if os.path.exists(directory) else 0


def compare(directory: str, seed: int, streams: int, count: int) -> dict[str, object]:
    expected = {stream: bytearray() for stream in range(1, streams + 1)}
    source = messages(seed, streams)
    for _ in range(count):
        stream, data = next(source)
        expected[stream] += data
    found = {stream: bytearray() for stream in expected}
    times = []
    for entry in LogReader(directory).select(Query(lines=False)):
        found[entry.stream] += entry.data
        times.append(entry.time_ns)
    return {
        "bytes": sum(map(len, expected.values())),
        "found": sum(map(len, found.values())),
        "equal": found == expected,
        "times_sorted": times == sorted(times),
    }


if __name__ == "__main__":
    where, how_often, chosen_seed, what = sys.argv[1:]
    print(json.dumps(torture(where, int(how_often), int(chosen_seed), what)))
