"""The smallest whole engine: one container, adopted where an earlier engine left it. Tells the test what it does.

Each line goes to the test's datagram socket at $PYSUP_TEST_SOCKET. A container that was adopted gets a line on its
stdin, which lets it end; the engine that started it leaves it waiting, to be killed (or to lose its keeper).
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

import trio
from helpers.containers import outcome, start

from pysup.supervisor.keeper.client.link import Entry, KeeperLost, Link, become_keeper
from pysup.supervisor.kernel.files import keep_private
from pysup.supervisor.runtime.launch import Launched
from pysup.supervisor.settings import Settings

KEY = "run/c/1"


def report(text: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(text.encode(), os.environ["PYSUP_TEST_SOCKET"])


async def keep_link(link: Link, settings: Settings, given: argparse.Namespace) -> None:
    try:
        await link.run()
    except KeeperLost as lost:
        argv = [sys.executable, "-P", *sys.orig_argv[2:3]]
        become_keeper(
            lost.entries,
            settings,
            listen_fd=given.listen_fd,
            lock_fd=given.lock_fd,
            stop_signal=link.stop_signal,
            engine_argv=argv,
        )


async def begin(link: Link, settings: Settings) -> None:
    script = "echo one; read line; echo $line; exit 9"
    base = Path(settings.root) / "c"
    launched = await start(link, base, ["sh", "-c", script], key=KEY, open_stdin=True)
    report(f"started {launched.process.pid}")


async def resume(link: Link, entry: Entry) -> None:
    adopted = link.adopt(entry)
    report(f"adopted {adopted.pid}")
    if adopted.status is None:
        os.write(adopted.fds["stdin"], b"two\n")
    launched = Launched(link, "container web", adopted, socket.socket(), tty=False)
    result = await outcome(link, launched)
    report(f"ended {result.code} {result.stdout.split()}")


async def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--keeper-fd", "--listen-fd", "--lock-fd"):
        parser.add_argument(name, type=int)
    parser.add_argument("--settings", type=Settings.from_json)
    given = parser.parse_args()
    for fd in (given.keeper_fd, given.listen_fd, given.lock_fd):
        keep_private(fd)
    link = Link(socket.socket(fileno=given.keeper_fd))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_link, link, given.settings, given)
        report(f"engine {os.getpid()} of {os.getppid()}")
        entries = await link.entries()
        for entry in entries:
            await resume(link, entry)
        if not entries:
            await begin(link, given.settings)
        await link.ready()
        await link.stop_requested.wait()
        report(f"stopping by {link.stop_signal}")
        await link.shutdown(3)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
