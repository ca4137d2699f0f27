"""The process in which libnftables works, for the daemon's whole life: one transaction after the other.

It is a process of its own because libmnl waits by select(2), whose sets end at descriptor 1023: in an engine with more
descriptors the library would end the whole process (abort(3)). It ends when its engine does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from functools import partial

from pysup.supervisor.kernel import libraries, netns, nftables, process
from pysup.supervisor.kernel.files import memory_file
from pysup.supervisor.network.kernel_parts import NF_TABLES, lacking

DONE, REFUSED = b"done", b"refused"
"""An answer, which brings a memory file: with the output, or with the cause."""
_LARGEST = 16 << 20
"""Bytes of an output: a longer one is refused, never cut."""


def main(fd: int, home: int | None = None) -> None:
    """Serve the socket: each message brings a memory file with commands, and a network namespace, if not its own.

    ``home``: a descriptor of the one to be in; None: where it was started.
    """
    if home is not None:
        process.setns(home, process.CLONE_NEWNET)
    killed = (ConnectionResetError, BrokenPipeError)  # the engine was, before it had its answer
    with socket.socket(fileno=fd) as sock, contextlib.suppress(*killed):
        while _serve_one(sock):
            pass


def _serve_one(sock: socket.socket) -> bool:
    """Answer one message; False at the end."""
    data, fds, _flags, _address = socket.recv_fds(sock, 16, 2)
    if not data:
        return False
    try:
        outcome, text = _answer(*fds)
    finally:
        for one in fds:
            os.close(one)
    send(sock, outcome, text)
    return True


def _answer(commands: int, namespace: int | None = None) -> tuple[bytes, str]:
    try:
        output = _run(text_of(commands), namespace)
    except OSError as error:
        return REFUSED, error.strerror or str(error)
    except (libraries.Missing, nftables.Refused) as error:
        return REFUSED, f"nftables: {error}"[:1000]
    if len(output) > _LARGEST:
        return REFUSED, f"nftables: its output of {len(output)} bytes is longer than {_LARGEST}"
    return DONE, output


def send(sock: socket.socket, word: bytes, text: str, *fds: int) -> None:
    """A message: a word, and a memory file with a text, before other descriptors. Raises OSError."""
    file = memory_file("pysup-rules", text.encode())
    try:
        socket.send_fds(sock, [word], [file, *fds])
    finally:
        os.close(file)


def text_of(fd: int) -> str:
    """What a memory file has. Raises OSError."""
    return os.pread(fd, os.fstat(fd).st_size, 0).decode(errors="replace")


def _run(commands: str, namespace: int | None) -> str:
    return netns.run_inside(namespace, partial(_run_here, commands))


def _run_here(commands: str) -> str:
    if not nftables.is_in_kernel():
        raise OSError(errno.EPROTONOSUPPORT, lacking([NF_TABLES]))
    return nftables.run(commands)


def start(home: int | None) -> tuple[int, socket.socket]:
    """Begin one: its pid, and the other end of its socket, by whose closing it ends. Raises OSError.

    ``home``: a descriptor of the network namespace to be in; None: the daemon's own.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    with theirs:
        fds = [theirs.fileno(), *([] if home is None else [home])]
        given = [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in fds]
        argv = [sys.executable, "-P", "-m", __name__, *map(str, fds)]
        pid = os.posix_spawn(sys.executable, argv, os.environ, file_actions=given, setsid=True)
    return pid, ours


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
