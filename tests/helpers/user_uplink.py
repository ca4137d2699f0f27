"""Executed as root in namespaces of its own: becomes an ordinary user, and gives a network namespace a way out.

Argument: the directory of the program to use. It prints, as JSON, what was reached, and how, once the program has
ended with its pipe. A host with a real
address of its own is what pasta wants: it is one end of a pair.
"""

from __future__ import annotations

import codecs
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from functools import partial

import trio
import trio.testing

from pysup.supervisor.kernel import net, netns, process
from pysup.supervisor.network import uplink, watching
from pysup.supervisor.network.relay import Way, relay

NOBODY = 65534
HOST = "198.51.100.1"
ADDRESS = "10.0.2.100"
_PR_SET_DUMPABLE = 4


def make_host() -> None:
    """Still as root."""
    net.loopback_up()
    for words in (
        "link add up0 type veth peer name up1",
        "link set up1 up",
        "addr add 192.0.2.1/24 dev up0",
        "link set up0 up",
        "route add default via 192.0.2.254",
        f"addr add {HOST}/32 dev lo",
    ):
        subprocess.run(["ip", *words.split()], check=True)


def become_user() -> None:
    """Nobody on the machine, and root of a new user namespace; who may not even see where Python is."""
    for name in ("ascii", "idna"):
        codecs.lookup(name)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    process.prctl(_PR_SET_DUMPABLE, "prctl", 1)
    process.unshare(process.CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("gid_map", f"0 {NOBODY} 1"), ("uid_map", f"0 {NOBODY} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    process.unshare(process.CLONE_NEWNS)


async def reaches_out(namespace: int) -> bool:
    """Whether a server of the host is reached from inside."""
    with socket.create_server((HOST, 7000)) as server:
        made = netns.run_inside(namespace, socket.socket)
        made.settimeout(10)
        with closing(made):
            await trio.to_thread.run_sync(made.connect, (HOST, 7000))
            client, _ = server.accept()
            client.close()
    return True


def answers(kind: socket.SocketKind, port: int) -> str:
    """What a published port of the host answers."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.settimeout(10)
        sock.connect((HOST, port))
        sock.send(b"hello")
        return sock.recv(99).decode()


def serve(kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.bind((ADDRESS, 80))
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


def echo(server: socket.socket) -> None:
    """One answer: whom it was for, as the server sees it."""
    if server.type == socket.SOCK_DGRAM:
        data, client = server.recvfrom(99)
        server.sendto(data + b" " + client[0].encode(), client)
        return
    connection, client = server.accept()
    connection.sendall(connection.recv(99) + b" " + client[0].encode())
    connection.close()


async def published(namespace: int, kind: socket.SocketKind) -> str:
    """What comes back through a port of the host."""
    server = netns.run_inside(namespace, partial(serve, kind))
    threading.Thread(target=echo, args=(server,)).start()
    with socket.socket(socket.AF_INET, kind) as held:
        held.bind((HOST, 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay, held, Way((ADDRESS, 80), namespace, for_all=True))
            await trio.testing.wait_all_tasks_blocked()
            said = await trio.to_thread.run_sync(answers, kind, held.getsockname()[1])
            nursery.cancel_scope.cancel()
    server.close()
    return said


async def main(namespace: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as run:
        path = os.path.join(run, "network")
        killed = uplink._bound(namespace, path)
        killed.__enter__()  # an engine has left it so
        assert os.listdir(run)
        exit_fd = await uplink.begin(namespace, path)
        left = os.listdir(run)
    found = {
        "governed": netns.is_governed(),
        "left": left,
        "out": await reaches_out(namespace),
        "tcp": await published(namespace, socket.SOCK_STREAM),
        "udp": await published(namespace, socket.SOCK_DGRAM),
    }
    os.close(exit_fd)
    with watched(namespace) as watch:
        while is_there(namespace):
            await watch.more()
    return found


def watched(namespace: int) -> watching.Watch:
    return netns.run_inside(namespace, watching.watch_links)


def is_there(namespace: int) -> bool:
    names = netns.run_inside(namespace, socket.if_nameindex)
    return uplink.DEVICE in [name for _, name in names]


if __name__ == "__main__":
    make_host()
    become_user()
    os.environ["PATH"] = sys.argv[1]
    print(json.dumps(trio.run(main, netns.new_namespace())))
