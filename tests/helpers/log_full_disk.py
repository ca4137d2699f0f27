"""Run as a program in a mount namespace of its own: fill the disk under a log, make room again, compare.

unshare -m --propagation private python log_full_disk.py DIRECTORY  ->  one line of JSON
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import trio
import trio.testing

from pysup.supervisor.logs.pump import drain, pump
from pysup.supervisor.logs.reader import LogReader, Query
from pysup.supervisor.logs.records import GAP
from pysup.supervisor.logs.writer import LogWriter

DATA = os.urandom(400 << 10)
BALLAST = b"b" * (256 << 10)


async def pump_until_there_is_room(directory: str) -> dict[str, object]:
    """A pump meets a full disk; the bytes wait in the pipe until somebody makes room."""
    reports: list[int] = []
    blocked, ballast = trio.Event(), os.path.join(directory, "ballast")
    await trio.Path(ballast).write_bytes(BALLAST)

    def report(error: OSError | None) -> None:
        reports.append(error.errno or 0 if error else 0)
        blocked.set()

    where = os.path.join(directory, "logs")
    writer = LogWriter.open(where, max_size=100 << 10, max_files=9, on_blocked=report)
    reader, end = os.pipe()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, reader, 1, writer)
        nursery.start_soon(send, end)
        await blocked.wait()
        for _ in range(3):  # several attempts fail, and say nothing more
            await trio.sleep(1)
        stuck = writer.offset
        os.unlink(ballast)
    writer.close()
    found = b"".join(entry.data for entry in LogReader(where).select(Query(lines=False)))
    return {"reports": reports, "stuck": 0 < stuck < len(DATA), "equal": found == DATA}


async def send(end: int) -> None:
    async with trio.lowlevel.FdStream(end) as stream:
        await stream.send_all(DATA)


def drain_without_room(directory: str) -> dict[str, object]:
    """A dead process's last bytes find no room: they are counted, and the gap is recorded when there is."""
    where = os.path.join(directory, "drained")
    writer = LogWriter.open(where)
    writer.write(1, b"before\n")
    ballast = os.path.join(directory, "ballast")
    with open(ballast, "wb", buffering=0) as file:
        fill(file.fileno())
    reader, end = os.pipe()
    os.write(end, b"x" * 50000)
    os.close(end)
    left = drain(reader, 1, writer)
    writer.gap(left)
    os.unlink(ballast)
    writer.write(1, b"after\n")
    writer.close()
    entries = list(LogReader(where).select(Query()))
    lost = sum(entry.lost for entry in entries if entry.stream == GAP)
    kept = sum(entry.data.count(b"x") for entry in entries)
    return {"left": left, "lost": lost, "kept": kept, "last": entries[-1].data.decode()}


def fill(fd: int) -> None:
    try:
        while True:
            os.write(fd, BALLAST)
    except OSError:
        pass


def main(directory: str) -> None:
    options = ["-t", "tmpfs", "-o", "size=512k"]
    subprocess.run(["mount", *options, "tmpfs", directory], check=True)
    clock = trio.testing.MockClock(autojump_threshold=0)
    first = trio.run(pump_until_there_is_room, directory, clock=clock)
    subprocess.run(["mount", *options, "tmpfs", directory], check=True)
    print(json.dumps([first, drain_without_room(directory)]))


if __name__ == "__main__":
    main(sys.argv[1])
