"""A way out for a network namespace of somebody who is not root: slirp4netns(1) or pasta(1) carries its packets by
sockets of the user's own.

The program makes an interface inside and speaks for the gateway; addresses and routes are set as everywhere else
(wiring.set_up_inside). It gets no ports: those are carried from socket to socket (relay.py). It ends when nobody has
the other end of its pipe any more (slirp4netns), or by a signal (pasta).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import NamedTuple

import trio

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.network.addresses import Address
from pysup.supervisor.network.uplink_programs import (
    EXIT,
    GATEWAY,
    PROCESS,
    SLIRP,
    installed,
    names_of,
    why_not,
)

MTU = 65520
_CANNOT = "cannot give a container a network without root"
_WITHIN = 10.0


class Inner(NamedTuple):
    """The interface that is to be inside."""

    name: str
    address: Address
    subnet: IPv4Network


def gateway_of(subnet: IPv4Network) -> IPv4Address:
    """The address that the program speaks for."""
    return subnet[GATEWAY]


async def begin(namespace: int, inner: Inner) -> dict[str, int]:
    """Have the packets of a namespace (a descriptor) carried; its interface is there afterwards, without an address.

    What it gives is to be held as long as that is to go on, then given to uplink_programs.end(). Raises Unavailable.
    """
    lacking = why_not()
    if lacking:
        raise Unavailable(f"{_CANNOT}: {lacking}; --network none and host work")
    program = installed()
    with trio.move_on_after(_WITHIN):
        if os.path.basename(program) == SLIRP:
            return await _begin_slirp(program, namespace, inner)
        return await _begin_pasta(program, namespace, inner)
    raise Unavailable(f"{_CANNOT}: {program} is not ready within {_WITHIN:g} s")


# -- slirp4netns ---------------------------------------------------------------------------------------------


async def _begin_slirp(program: str, namespace: int, inner: Inner) -> dict[str, int]:
    ready, ready_theirs = os.pipe2(os.O_CLOEXEC)
    exit_theirs, exit_ours = os.pipe2(os.O_CLOEXEC)
    words = [
        program,
        f"--mtu={MTU}",
        f"--cidr={inner.subnet}",
        "--disable-host-loopback",
        "--netns-type=path",
        f"--ready-fd={ready_theirs}",
        f"--exit-fd={exit_theirs}",
        f"/proc/self/fd/{namespace}",
        inner.name,
    ]
    try:
        told = await _started(words, (namespace, ready_theirs, exit_theirs), ready)
    except BaseException:
        os.close(exit_ours)
        raise
    finally:
        os.close(exit_theirs)
        os.close(ready)
    if told != b"1":
        os.close(exit_ours)
        raise Unavailable(f"{_CANNOT}: {program} has ended (see the daemon's log)")
    return {EXIT: exit_ours}


async def _started(words: list[str], fds: Sequence[int], ready: int) -> bytes:
    """Start it with these descriptors, the second of which only it has then; what it says when it is ready."""
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]]
    actions = [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in fds]
    actions.append(
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    )  # it tells how it is; errors go to the log
    try:
        spawn = partial(os.posix_spawn, words[0], words, os.environ, file_actions=actions, setsid=True)
        await trio.to_thread.run_sync(spawn)
    finally:
        os.close(fds[1])
    await trio.lowlevel.wait_readable(ready)
    return os.read(ready, 1)


# -- pasta ---------------------------------------------------------------------------------------------------


async def _begin_pasta(program: str, namespace: int, inner: Inner) -> dict[str, int]:
    """It goes into the background by itself when it is ready."""
    with tempfile.TemporaryDirectory() as directory:
        pid_file = Path(directory) / "pid"
        words = [
            program,
            "--quiet",
            f"--pid={pid_file}",
            "--ipv4-only",
            f"--ns-ifname={inner.name}",
            f"--mtu={MTU}",
            f"--address={inner.address}",
            f"--netmask={inner.subnet.prefixlen}",
            f"--gateway={gateway_of(inner.subnet)}",
            f"--dns-forward={names_of(inner.subnet)}",
            "--no-map-gw",
            *("--tcp-ports=none", "--udp-ports=none", "--tcp-ns=none", "--udp-ns=none"),
            f"--netns=/proc/self/fd/{namespace}",
        ]
        done = await trio.run_process(words, pass_fds=(namespace,), capture_stderr=True, check=False)
        if done.returncode:
            cause = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise Unavailable(f"{_CANNOT}: {program}: {cause}")
        return {PROCESS: os.pidfd_open(int(pid_file.read_text()))}
