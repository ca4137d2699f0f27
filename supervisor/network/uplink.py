"""A way out for a network namespace of somebody who is not root: slirp4netns(1) or pasta(1) carries its packets by
sockets of the user's own.

The program makes an interface inside and speaks for the gateway; addresses and routes are set as everywhere else
(wiring.set_up_inside). It gets no ports: those are carried from socket to socket (relay.py). It ends when nobody has
the other end of its pipe any more (slirp4netns), or by a signal (pasta).
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import NamedTuple

import trio

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.network.addresses import Address

MTU = 65520
_EXIT, _PROCESS = "exit", "process"
_PROGRAMS = ("slirp4netns", "pasta")
_GATEWAY, _NAMES = 2, 3
"""Places in the subnet that slirp4netns keeps for itself: the gateway, and a name server that asks the host's."""
_WITHIN = 10.0


class Inner(NamedTuple):
    """The interface that is to be inside."""

    name: str
    address: Address
    subnet: IPv4Network


def gateway_of(subnet: IPv4Network) -> IPv4Address:
    """The address that the program speaks for."""
    return subnet[_GATEWAY]


def reserved_of(subnet: IPv4Network) -> dict[str, str]:
    """What no container can have."""
    return {"names": str(subnet[_NAMES])}


def find_program() -> str:
    """The path of one of them. Raises Unavailable."""
    for name in _PROGRAMS:
        path = shutil.which(name)
        if path is not None:
            return path
    raise Unavailable(
        "cannot give a container a network without root: neither slirp4netns nor pasta (package passt) is installed; "
        "--network none and host work"
    )


async def begin(namespace: int, inner: Inner) -> dict[str, int]:
    """Have the packets of a namespace (a descriptor) carried; its interface is there afterwards, without an address.

    What it gives is to be held as long as that is to go on, and then given to end(). Raises Unavailable.
    """
    program = find_program()
    with trio.move_on_after(_WITHIN):
        if os.path.basename(program) == _PROGRAMS[0]:
            return await _begin_slirp(program, namespace, inner)
        return await _begin_pasta(program, namespace, inner)
    raise Unavailable(f"cannot give a container a network: {program} is not ready within {_WITHIN:g} s")


def end(held: Mapping[str, int]) -> None:
    """To be called before the descriptors are closed, by which alone slirp4netns ends."""
    if _PROCESS in held:
        signal.pidfd_send_signal(held[_PROCESS], signal.SIGTERM)


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
        raise Unavailable(
            f"cannot give a container a network: {program} has ended (is /dev/net/tun to be opened?)"
        )
    return {_EXIT: exit_ours}


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
            f"--dns-forward={inner.subnet[_NAMES]}",
            "--no-map-gw",
            *("--tcp-ports=none", "--udp-ports=none", "--tcp-ns=none", "--udp-ns=none"),
            f"--netns=/proc/self/fd/{namespace}",
        ]
        done = await trio.run_process(words, pass_fds=(namespace,), capture_stderr=True, check=False)
        if done.returncode:
            cause = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise Unavailable(f"cannot give a container a network: {program}: {cause}")
        return {_PROCESS: os.pidfd_open(int(pid_file.read_text()))}
