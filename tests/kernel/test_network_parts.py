"""Netlink and nftables on the real kernel: what the engine says to them, and what they answer."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import socket
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import trio
from helpers.netlab import ip, namespace, run

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.network import messages, nft_worker, rules
from pysup.supervisor.network.firewall import Firewall, received
from pysup.supervisor.network.messages import Peer
from pysup.supervisor.network.netlink import Netlink, NetlinkError
from pysup.supervisor.network.rules import ANY, Published, Ruled

pytestmark = pytest.mark.kernel

SUBNET, GATEWAY, ADDRESS = ip_network("10.9.0.0/24"), ip_address("10.9.0.1"), ip_address("10.9.0.2")
NETWORK = Ruled("pysup0", ("10.9.0.0/24", "fd09::/64"))
PORTS = (
    Published("tcp", ANY[4], 8080, "10.9.0.2", 80),
    Published("udp", "127.0.0.1", 53, "10.9.0.2", 5353),
    Published("tcp", ANY[6], 8080, "fd09::2", 80),
)


async def test_a_container_gets_an_interface_an_address_and_a_way_out() -> None:
    with namespace() as here, namespace() as inside, Netlink(here) as host, Netlink(inside) as container:
        await host.ask(messages.add_bridge("pysup0", "02:00:00:00:00:01"))
        bridge = messages.by_name(await host.dump(messages.list_links(), messages.read_link))["pysup0"]
        assert (bridge.kind, bridge.mac, bridge.up) == ("bridge", "02:00:00:00:00:01", True)
        await host.ask(
            messages.add_address(bridge.index, GATEWAY, SUBNET),
            messages.add_veth("pv1", bridge.index, Peer("eth0", "02:00:00:00:00:02", inside), 1400),
        )
        eth0 = messages.by_name(await container.dump(messages.list_links(), messages.read_link))["eth0"]
        await container.ask(
            messages.add_address(eth0.index, ADDRESS, SUBNET),
            messages.set_up(eth0.index, "eth0"),
            messages.add_default_route(eth0.index, GATEWAY),
        )
        routes = {one["dst"]: one for one in json.loads(ip("-j", "route", inside=inside))}
        assert routes["default"]["gateway"] == "10.9.0.1" and "10.9.0.0/24" in routes
        shown = json.loads(ip("-j", "addr", "show", "dev", "eth0", inside=inside))[0]
        assert (shown["address"], shown["mtu"]) == ("02:00:00:00:00:02", 1400)
        run(["python3", "-c", "import socket; socket.create_server(('10.9.0.2', 80)).close()"], inside=inside)
        pair = messages.by_name(await host.dump(messages.list_links(), messages.read_link))["pv1"]
        assert pair.master == bridge.index
        await host.ask(messages.delete_link("pv1"))
        assert "eth0" not in ip("-br", "link", inside=inside)


async def test_a_refusal_names_what_was_to_be_done_and_the_rest_is_tried() -> None:
    with namespace() as here, Netlink(here) as host:
        twice = messages.add_bridge("pysup0", "02:00:00:00:00:01")
        results = await host.attempt(twice, twice, messages.add_bridge("pysup1", "02:00:00:00:00:03"))
        assert [None if one is None else one.errno for one in results] == [None, errno.EEXIST, None]
        with pytest.raises(NetlinkError, match="cannot add bridge pysup0: File exists"):
            await host.ask(twice)


async def test_a_cancelled_request_does_not_confuse_the_next() -> None:
    with namespace() as here, Netlink(here) as host:
        with trio.CancelScope() as scope:
            scope.cancel()
            await host.ask(messages.add_bridge("pysup0", "02:00:00:00:00:01"))
        with pytest.raises(NetlinkError, match=r"cannot delete interface no_such: .*No such device"):
            await host.ask(messages.delete_link("no_such"))


async def test_rules_come_and_go_and_leave_nothing() -> None:
    with namespace() as here:
        firewall = Firewall()

        async def apply(commands: str) -> None:
            await firewall.apply(commands, "test", namespace=here)

        await apply(rules.whole([], [], guarded=()))
        empty = run(["nft", "list", "ruleset"], inside=here)
        await apply(rules.add_network(NETWORK) + "\n" + rules.publish(PORTS))
        full = run(["nft", "list", "ruleset"], inside=here)
        for part in ("tcp . 8080 : 10.9.0.2 . 80", "127.0.0.1 . udp . 53 : 10.9.0.2 . 5353", "fd09::2 . 80"):
            assert part in full
        await apply(rules.unpublish(PORTS) + "\n" + rules.remove_network(NETWORK))
        assert run(["nft", "list", "ruleset"], inside=here) == empty
        await apply(rules.whole([NETWORK], PORTS, guarded=()))
        assert run(["nft", "list", "ruleset"], inside=here) == full


async def test_a_transaction_that_fails_changes_nothing() -> None:
    with namespace() as here:
        firewall = Firewall()
        await firewall.apply(rules.whole([], [], guarded=(4, 6)), "test", namespace=here)
        before = run(["nft", "list", "ruleset"], inside=here)
        bad = rules.publish(PORTS) + "\n" + rules.remove_network(NETWORK)
        with pytest.raises(Unavailable, match="cannot publish ports: nftables: "):
            await firewall.apply(bad, "publish ports", namespace=here)
        assert run(["nft", "list", "ruleset"], inside=here) == before


@pytest.mark.parametrize("internal", [False, True])
@pytest.mark.parametrize("icc", [False, True])
async def test_every_kind_of_network_is_one_that_nftables_takes(internal: bool, icc: bool) -> None:
    with namespace() as here:
        network = Ruled("br-0123456789ab", ("10.9.0.0/24",), internal=internal, icc=icc, masquerade=not icc)
        commands = rules.whole([network], (), guarded=(4, 6))
        await Firewall().apply(commands, "test", namespace=here)
        assert "br-0123456789ab" in run(["nft", "list", "table", "inet", "pysup"], inside=here)


async def test_rules_are_applied_by_a_process_with_more_descriptors_than_select_knows() -> None:
    """libmnl would abort it."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2000, limits[1]), limits[1]))
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    firewall = Firewall()
    try:
        with namespace() as here:
            await firewall.apply("add table ip pysup_test", "try", namespace=here)
            assert "pysup_test" in await firewall.apply("list tables", "try", namespace=here)
            with pytest.raises(Unavailable, match="cannot try: nftables: "):
                await firewall.apply("add nonsense", "try", namespace=here)
    finally:
        firewall.close()
        for fd in fds:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_a_worker_that_was_killed_is_replaced() -> None:
    firewall = Firewall()
    with namespace() as here:
        await firewall.apply("add table ip pysup_test", "try", namespace=here)
        (worker,) = workers()
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(Unavailable, match="cannot try: nftables: "):
            await firewall.apply("list tables", "try", namespace=here)
        assert not Path(f"/proc/{worker}").exists(), "it is a zombie"
        assert "pysup_test" in await firewall.apply("list tables", "try", namespace=here)
    firewall.close()


async def test_a_long_listing_comes_whole() -> None:
    firewall = Firewall()
    chains = [f"chain_{number:04}_{'x' * 80}" for number in range(1500)]
    with namespace() as here:
        commands = "\n".join(f"add chain ip pysup_test {name}" for name in chains)
        await firewall.apply(f"add table ip pysup_test\n{commands}", "try", namespace=here)
        listed = await firewall.apply("list chains", "try", namespace=here)
    assert all(name in listed for name in chains)
    firewall.close()


async def test_an_answer_that_is_none_is_an_error_and_ends_its_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = await trio.to_thread.run_sync(os.posix_spawn, "/bin/sleep", ["sleep", "60"], {})
    monkeypatch.setattr(nft_worker, "start", lambda _home: (pid, ours))
    theirs.send(b'["done", "cut in the mid')
    with theirs, pytest.raises(Unavailable, match="cannot try: nftables: its process answers nonsense"):
        await Firewall().apply("list tables", "try")
    assert not Path(f"/proc/{pid}").exists()


def test_what_an_answer_brings_stays_in_the_engine() -> None:
    """It may become the keeper at any moment (execve), which would have it for ever."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        nft_worker.send(theirs, nft_worker.DONE, "text")
        outcome, (fd,) = received(ours)
        assert (outcome, os.get_inheritable(fd), nft_worker.text_of(fd)) == (nft_worker.DONE, False, "text")
        os.close(fd)


def test_an_engine_that_is_killed_before_it_is_answered_ends_the_process_quietly() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        nft_worker.send(ours, b"list tables", "list tables")
        ours.close()  # the question is there, and nobody to take the answer
        nft_worker.main(theirs.detach())


def workers() -> list[int]:
    """Children of any of our threads (proc_tid_children(5)) that have libnftables."""
    found = [
        int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()
    ]
    return [pid for pid in found if b"nft_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
