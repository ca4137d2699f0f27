"""The resolver on 127.0.0.11 in real network namespaces, with real clients and a real server outside."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest
import trio
from helpers.name_servers import (
    Message,
    a_record,
    ask,
    ask_on,
    data,
    name_server,
    sock,
    tcp_client,
    truncated,
    udp_client,
)
from helpers.netlab import ip, namespace, run

from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.network.names import framing, server, sockets
from pysup.supervisor.network.names.resolv_conf import for_user_network, override, parse
from pysup.supervisor.network.names.upstreams import Upstream, Upstreams
from pysup.supervisor.network.names.zone import Member, Table, Zone

pytestmark = pytest.mark.kernel

HOST_SERVER, SILENT = "127.0.0.53", "127.0.0.54"
OUTSIDE = Upstreams((Upstream(HOST_SERVER),))
NETWORK = Table("net")
NETWORK.add("1", Member("web", "0123456789ab", (ip_address("10.9.0.2"), ip_address("fd09::2"))))
NETWORK.add("2", Member("db", "ba9876543210", (ip_address("10.9.0.3"),), aliases=("pair",)))
NETWORK.add("3", Member("db2", "ba9876543211", (ip_address("10.9.0.4"),), aliases=("pair",)))


@asynccontextmanager
async def resolver(inside: int, upstreams: Upstreams = OUTSIDE, *tables: Table) -> AsyncIterator[None]:
    """One that runs in the namespace, in the block."""
    zone = Zone(tables or (NETWORK,))
    bound = await sockets.open_sockets(Firewall(), inside, "web")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve, bound, lambda: zone, lambda: upstreams)
        yield
        nursery.cancel_scope.cancel()


async def in_container(inside: int, resolv_conf: str, tmp_path: Path, *argv: str) -> str:
    """Run a command with a resolv.conf of its own in the namespace."""
    (tmp_path / "resolv.conf").write_text(resolv_conf)
    script = f'mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec "$@"'
    command = ["unshare", "-m", "--propagation", "private", "sh", "-ec", script, "sh", *argv]
    return await trio.to_thread.run_sync(partial(run, command, inside=inside))


async def test_programs_of_a_container_find_names_of_both_worlds(tmp_path: Path) -> None:
    conf = for_user_network(override(parse(""), options=["timeout:20"]))
    with namespace() as inside:
        for address in ("10.9.0.2/24", "fd09::2/64"):  # without one, AI_ADDRCONFIG leaves that version out
            ip("address", "add", address, "dev", "lo", inside=inside)
        async with name_server(HOST_SERVER, lambda query: [a_record(query)]), resolver(inside):
            found = partial(in_container, inside, conf, tmp_path)
            assert "10.9.0.2" in await found("getent", "ahostsv4", "WEB")
            assert "fd09::2" in await found("getent", "ahostsv6", "web.net")
            assert await found("getent", "hosts", "10.9.0.3") == "10.9.0.3        db.net\n"
            assert "192.0.2.1" in await found("getent", "ahostsv4", "www.example.org")
            code = "import socket; print(sorted({each[4][0] for each in socket.getaddrinfo('pair', 80)}))"
            assert await found(sys.executable, "-c", code) == "['10.9.0.3', '10.9.0.4']\n"
            assert "10.9.0.2" in await found("busybox", "nslookup", "web", "127.0.0.11")


async def test_a_container_sees_its_own_networks_only() -> None:
    secret = Table("secret")
    secret.add("1", Member("vault", "00", (ip_address("10.7.0.2"),)))
    with namespace() as inside, namespace() as other:
        async with resolver(inside, Upstreams()), resolver(other, Upstreams(), secret):
            for name in ("vault", "vault.secret", "2.0.7.10.in-addr.arpa"):
                kind = "PTR" if name.endswith("arpa") else "A"
                assert (await ask(inside, name, kind)).rcode() == dns.rcode.SERVFAIL
                assert (await ask(other, name, kind)).answer
            assert (await ask(other, "web")).rcode() == dns.rcode.SERVFAIL


async def test_port_53_stays_the_containers_own_and_a_new_engine_takes_over() -> None:
    with namespace() as inside:
        for _ in range(2):
            async with resolver(inside):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    with sock(kind, inside) as own:
                        own.bind(("0.0.0.0", 53))  # noqa: S104 - as name servers do
                assert data(await ask(inside, "web")) == ["10.9.0.2"]
                async with tcp_client(inside) as stream:
                    assert data(await ask_on(stream, "web")) == ["10.9.0.2"]


async def test_what_does_not_fit_is_asked_for_over_tcp_and_cut_for_the_client() -> None:
    many = partial(a_record, count=100)
    with namespace() as inside:
        async with (
            name_server(HOST_SERVER, lambda query: [truncated(query)], lambda query: [many(query)]),
            resolver(inside),
        ):
            plain = await ask(inside, "example.org")
            assert plain.flags & dns.flags.TC and 0 < len(data(plain)) < 100 and len(plain.to_wire()) <= 512
            assert len(data(await ask(inside, "example.org", use_edns=0, payload=4096))) == 100
            async with tcp_client(inside) as stream:
                for _ in range(2):
                    assert len(data(await ask_on(stream, "example.org"))) == 100
        async with name_server(HOST_SERVER, lambda query: [truncated(query)]), resolver(inside):
            assert (await ask(inside, "example.org")).flags & dns.flags.TC


def wrong_question(query: Message) -> Message:
    """An answer to something else, under the same id."""
    return a_record(dns.message.make_query("evil.example", "A", id=query.id), "203.0.113.1")


def wrong_id(query: Message) -> Message:
    """An answer by somebody who has not seen the question."""
    reply = a_record(query, "203.0.113.2")
    reply.id = query.id ^ 1
    return reply


async def test_only_an_answer_to_the_question_is_believed() -> None:
    with namespace() as inside:
        async with (
            name_server(HOST_SERVER, lambda query: [wrong_question(query), wrong_id(query), a_record(query)]),
            resolver(inside),
        ):
            assert data(await ask(inside, "example.org")) == ["192.0.2.1"]


async def test_the_next_server_is_asked_when_one_is_silent_or_useless() -> None:
    def useless(query: Message) -> list[Message]:
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.REFUSED)
        return [reply]

    def unknown(query: Message) -> list[Message]:
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.NXDOMAIN)
        return [reply]

    servers = tuple(Upstream(address) for address in ("127.0.0.9", SILENT, "127.0.0.55", HOST_SERVER))
    with namespace() as inside:
        async with (
            name_server(SILENT, lambda _query: []),
            name_server("127.0.0.55", useless),
            name_server(HOST_SERVER, unknown),
        ):
            async with resolver(inside, Upstreams(servers, timeout=0.5)):
                assert (await ask(inside, "example.org")).rcode() == dns.rcode.NXDOMAIN
            async with resolver(inside, Upstreams(servers[:3], timeout=0.5, attempts=2)):
                assert (await ask(inside, "example.org")).rcode() == dns.rcode.SERVFAIL


async def test_a_server_in_the_container_is_asked_from_inside() -> None:
    with namespace() as inside:
        async with (
            name_server("127.0.0.1", lambda query: [a_record(query)], inside=inside),
            resolver(inside, Upstreams((Upstream("127.0.0.1", inside),))),
        ):
            assert data(await ask(inside, "example.org")) == ["192.0.2.1"]


async def test_short_names_stay_here_where_ndots_is_set() -> None:
    with namespace() as inside:
        async with (
            name_server(HOST_SERVER, lambda query: [a_record(query)]),
            resolver(inside, Upstreams(OUTSIDE.servers, short_names=False)),
        ):
            short = await ask(inside, "nobody")
            assert (short.rcode(), short.answer) == (dns.rcode.NOERROR, [])
            assert data(await ask(inside, "nobody.example")) == ["192.0.2.1"]


async def test_a_flood_is_bounded_and_stops_neither_itself_nor_others() -> None:
    asked = 0
    all_wait = trio.Event()

    def swallow(_query: Message) -> list[Message]:
        nonlocal asked
        asked += 1
        if asked == server.MOST_FORWARDED:
            all_wait.set()
        return []

    patient = Upstreams((Upstream(SILENT),), timeout=600)
    with namespace() as inside, namespace() as other:
        async with (
            name_server(SILENT, swallow),
            name_server(HOST_SERVER, lambda query: [a_record(query)]),
            resolver(inside, patient),
            resolver(other),
            udp_client(inside) as flood,
        ):
            for number in range(server.MOST_FORWARDED):
                await flood.send(dns.message.make_query(f"n{number}.example", "A").to_wire())
            await all_wait.wait()
            assert (await ask(inside, "one.more")).rcode() == dns.rcode.REFUSED
            assert asked == server.MOST_FORWARDED
            assert data(await ask(inside, "web")) == ["10.9.0.2"]
            assert data(await ask(other, "example.org")) == ["192.0.2.1"]


async def test_nonsense_is_answered_or_ignored_and_the_next_question_is_answered() -> None:
    good = dns.message.make_query("web", "A")
    with namespace() as inside:
        async with resolver(inside), udp_client(inside) as udp:
            for packet in (b"", b"x", bytes(300), b"\xff" * 65000, good.to_wire()[:-3], good.to_wire()):
                await udp.send(packet)
            codes = [dns.message.from_wire(await udp.recv(65535)).rcode() for _ in range(3)]
            assert codes == [dns.rcode.FORMERR, dns.rcode.FORMERR, dns.rcode.NOERROR]
            for packet in (b"x", b"\xff" * 65000):
                async with tcp_client(inside) as stream:
                    await framing.write(stream, packet)
                    assert await framing.read(stream) is None
            async with tcp_client(inside) as stream:
                await stream.send_all(b"\xff\xffhalf")
            async with tcp_client(inside) as stream:
                assert data(await ask_on(stream, "web")) == ["10.9.0.2"]


async def test_connections_are_bounded() -> None:
    with namespace() as inside:
        async with resolver(inside), trio.open_nursery() as nursery:
            held = trio.Event()
            for _ in range(server.MOST_CONNECTIONS):
                await nursery.start(hold_connection, inside, held)
            async with tcp_client(inside) as stream:
                with pytest.raises((AssertionError, trio.BrokenResourceError)):
                    await ask_on(stream, "web")
            assert data(await ask(inside, "web")) == ["10.9.0.2"]
            held.set()


async def hold_connection(inside: int, held: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
    """One that has asked, and may ask again."""
    async with tcp_client(inside) as stream:
        assert data(await ask_on(stream, "web")) == ["10.9.0.2"]
        task_status.started()
        await held.wait()
        assert data(await ask_on(stream, "web")) == ["10.9.0.2"]


async def test_a_listener_that_the_container_ends_is_its_own_loss() -> None:
    firewall, zone = Firewall(), Zone((NETWORK,))
    with namespace() as inside:
        bound = await sockets.open_sockets(firewall, inside, "web")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve, bound, lambda: zone, lambda: OUTSIDE)
            await ask(inside, "web")
            bound.tcp.shutdown(socket.SHUT_RDWR)  # what ss -K does to it
            with pytest.raises((OSError, trio.BrokenResourceError)):
                async with tcp_client(inside) as stream:
                    await ask_on(stream, "web")
            assert data(await ask(inside, "web")) == ["10.9.0.2"]
            nursery.cancel_scope.cancel()
        assert bound.udp.fileno() == bound.tcp.fileno() == -1


async def test_sockets_that_a_container_destroys_are_nobody_elses() -> None:
    with namespace() as inside, namespace() as other:
        async with resolver(inside), resolver(other):
            for kind in ("-tl", "-ua"):
                await trio.to_thread.run_sync(
                    partial(run, ["ss", "-K", kind, "src", "127.0.0.11"], inside=inside)
                )
            assert data(await ask(other, "web")) == ["10.9.0.2"]
        async with resolver(inside):
            assert data(await ask(inside, "web")) == ["10.9.0.2"]


async def test_where_no_socket_can_be_made_nothing_starts() -> None:
    with socket.socket() as nowhere, pytest.raises(OSError, match="Invalid argument"):
        await sockets.open_sockets(Firewall(), nowhere.fileno(), "web")


def test_what_the_engine_imports_leaves_dnspython_for_later() -> None:
    code = "import sys; import pysup.supervisor.engine.networks.naming; sys.exit('dns' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
