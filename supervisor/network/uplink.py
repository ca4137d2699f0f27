"""A way out for a network namespace of somebody who is not root: slirp4netns(1) or pasta(1) carries its packets by
sockets of the user's own.

The program makes an interface inside and speaks for the gateway; addresses and routes are set as everywhere else
(wiring.set_up_inside). It gets no ports: those are carried from socket to socket (relay.py). It ends when nobody has
the other end of its pipe any more: of pasta, which knows no such pipe, its parent waits for that.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import trio

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.kernel import mounts
from pysup.supervisor.network import routes, wiring
from pysup.supervisor.network.uplink_programs import (
    GATEWAY,
    NAMES,
    OWN,
    SLIRP,
    SUBNETS,
    installed,
    why_not,
)

DEVICE = "uplink0"
MTU = 65520
_MAC = "02:42:0a:00:02:64"
CANNOT = "cannot give networks a way out without root"
_WITHIN = 10.0


async def begin(namespace: int, path: str) -> int:
    """Give a namespace (a descriptor) its way out, which ends when what this gives is closed, with all its duplicates.

    ``path``: where the program finds the namespace as it begins. Raises Unavailable, and leaves nothing then. There is
    IPv6 if the host has a way out for it now.
    """
    lacking = why_not()
    if lacking:
        raise Unavailable(
            f"{CANNOT}: {lacking}; --network none and host, and networks that are --internal, work"
        )
    program, ipv6 = installed(), routes.leads_out6()
    try:
        exit_fd = await _started(program, namespace, path, ipv6=ipv6)
        try:
            await wiring.set_up_inside(namespace, _plug(ipv6=ipv6), plain=True)
        except BaseException:
            os.close(exit_fd)
            raise
    except OSError as error:
        raise Unavailable(f"{CANNOT}: {error}") from error
    return exit_fd


def _plug(*, ipv6: bool) -> wiring.Plug:
    subnets = SUBNETS if ipv6 else SUBNETS[:1]
    return wiring.Plug(
        outer="",
        bridge=0,
        inner=DEVICE,
        mac=_MAC,
        addresses=tuple((subnet[OWN], subnet) for subnet in subnets),
        gateways=tuple(subnet[GATEWAY] for subnet in subnets),
        mtu=MTU,
    )


# -- the programs --------------------------------------------------------------------------------------------

_READY, _EXIT = 1, 3
"""Descriptors of the program, or of its parent: the first says that it is ready."""

_ENDED_BY_PIPE = f"""
"$0" "$@" --pid /proc/self/fd/{_READY} &
exec >/dev/null
read -r end <&{_EXIT}
kill "$!"
wait
"""
"""Pasta's parent."""
_APART = ("/bin/sh", "-c", '"$0" "$@" &')
"""What it starts is the keeper's child, and reaped by it, whoever began it."""


def _slirp_words(program: str, path: str, *, ipv6: bool) -> list[str]:
    return [
        program,
        f"--mtu={MTU}",
        f"--cidr={SUBNETS[0]}",
        *(["--enable-ipv6"] if ipv6 else []),
        "--disable-host-loopback",
        "--netns-type=path",
        f"--ready-fd={_READY}",
        f"--exit-fd={_EXIT}",
        path,
        DEVICE,
    ]


def _pasta_words(program: str, path: str, *, ipv6: bool) -> list[str]:
    subnets = SUBNETS if ipv6 else SUBNETS[:1]
    return [
        "/bin/sh",
        "-c",
        _ENDED_BY_PIPE,
        program,
        "--foreground",
        *([] if ipv6 else ["--ipv4-only"]),
        f"--ns-ifname={DEVICE}",
        f"--mtu={MTU}",
        *(f"--address={subnet[OWN]}" for subnet in subnets),
        f"--netmask={SUBNETS[0].prefixlen}",
        *(f"--gateway={subnet[GATEWAY]}" for subnet in subnets),
        f"--dns-forward={NAMES}",
        "--no-map-gw",
        *("--tcp-ports=none", "--udp-ports=none", "--tcp-ns=none", "--udp-ns=none"),
        "--no-netns-quit",
        f"--netns={path}",
    ]


async def _started(program: str, namespace: int, path: str, *, ipv6: bool) -> int:
    """It has made its interface afterwards. Raises Unavailable, OSError."""
    words = _slirp_words if os.path.basename(program) == SLIRP else _pasta_words
    ready, ready_theirs = os.pipe2(os.O_CLOEXEC)
    exit_theirs, exit_ours = os.pipe2(os.O_CLOEXEC)
    given = ((_READY, ready_theirs), (_EXIT, exit_theirs))
    with ExitStack() as theirs:
        for _, fd in given:
            theirs.callback(os.close, fd)
        try:
            with _bound(namespace, path):
                await trio.to_thread.run_sync(_spawn, [*_APART, *words(program, path, ipv6=ipv6)], given)
                theirs.close()  # or it would not be seen when the program ends
                await _be_told(ready, program)
        except BaseException:
            os.close(exit_ours)
            raise
        finally:
            os.close(ready)
    return exit_ours


@contextmanager
def _bound(namespace: int, path: str) -> Iterator[None]:
    """The namespace has a path, in the block: descriptors of its own pasta may have closed when it looks for it, and
    it gives up what it would need to see another process's.
    """
    clear(path)
    try:
        with open(path, "xb"):
            mounts.mount(f"/proc/self/fd/{namespace}", path, "", mounts.MS_BIND)
        yield
    finally:
        clear(path)


def clear(path: str) -> None:
    """Take away what keeps a namespace alive where an engine was killed meanwhile. Raises OSError."""
    try:
        mounts.umount(path, mounts.MNT_DETACH)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOENT}:  # not mounted, or not there
            raise
    with suppress(FileNotFoundError):
        os.unlink(path)


def _spawn(words: list[str], given: Sequence[tuple[int, int]]) -> None:
    """Start it, with each descriptor at a place of its own: none of them is at another one's before."""
    apart = [(place, fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, _EXIT + 1)) for place, ours in given]
    actions = [(os.POSIX_SPAWN_DUP2, ours, place) for place, ours in apart]
    spawn = partial(os.posix_spawn, file_actions=actions, setsid=True, setsigdef=[signal.SIGPIPE])
    try:
        os.waitpid(spawn(words[0], words, os.environ), 0)
    finally:
        for _, fd in apart:
            os.close(fd)


async def _be_told(ready: int, program: str) -> None:
    with trio.move_on_after(_WITHIN) as waiting:
        await trio.lowlevel.wait_readable(ready)
    if waiting.cancelled_caught:
        raise Unavailable(f"{CANNOT}: {program} is not ready within {_WITHIN:g} s")
    if not os.read(ready, 1):
        raise Unavailable(f"{CANNOT}: {program} has ended (see the daemon's log)")
