"""Two daemons in one network namespace: one owns the networks, whoever of it is killed, and the other one says so."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.mortal import Mortal, until
from helpers.network_use import fetch, ok, refused, serve

pytestmark = pytest.mark.kernel

PORT = 18160
RUN = ("run", "--rm")


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Mortal]:
    with Mortal(tmp_path / "first") as running:
        yield running


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Mortal]:
    with Mortal(tmp_path / "second") as running:
        yield running


def owned_by(daemon: Mortal) -> str:
    """What the other daemon says."""
    return (
        f"another pysup daemon (pid {daemon.keeper}, of {daemon.root}) owns the networks of this network namespace; "
        "end it, or run this daemon in a network namespace of its own (unshare --net)"
    )


def assert_refused(daemon: Mortal, owner: Mortal, network: str = "bridge") -> None:
    told = refused(daemon, *RUN, "--network", network, "host", "true")
    assert f"cannot make network {network}: {owned_by(owner)}" in told


def of_networks(daemon: Mortal) -> Any:
    """What ``info`` tells."""
    return json.loads(ok_pysup(daemon, "info", "--format", "json"))["Pysup"]["Features"]["networks"]


def ok_pysup(daemon: Mortal, *words: str) -> str:
    return daemon.pysup(*words, check=True).stdout


def state_of_networks() -> tuple[str, object]:
    """All rules, and the bridges with their addresses."""
    links = json.loads(subprocess.check_output(["ip", "-4", "-j", "addr", "show", "type", "bridge"]))
    return nft("-s", "list", "ruleset"), [
        (one["ifindex"], one["mtu"], one["addr_info"]) for one in links if one
    ]


def nft(*words: str) -> str:
    return subprocess.check_output(["nft", *words], text=True)


def test_the_second_daemon_leaves_the_networks_alone_and_says_whose_they_are(
    first: Mortal, second: Mortal
) -> None:
    assert of_networks(second)["detail"] == "nobody's yet"
    serve(first, "web", "-p", f"{PORT}:80")
    before = state_of_networks()
    assert_refused(second, first)
    for network in ("none", "host"):
        assert ok(second, *RUN, "--network", network, "host", "echo", "works") == "works\n"
    ok(second, "run", "-d", "--name", "alone", "--network", "none", "host", "sleep", "1000")
    assert ok(second, *RUN, "--network", "container:alone", "host", "echo", "works") == "works\n"
    ok(second, "rm", "-f", "alone")
    ok(second, "network", "create", "mine")
    assert_refused(second, first, "mine")
    ok(second, "network", "rm", "mine")
    assert "no network but host, none and container:NAME: another pysup" in of_networks(second)["cost"]
    assert of_networks(first)["detail"] == "this daemon's"
    assert (
        f"WARNING: no network but host, none and container:NAME: another pysup daemon (pid {first.keeper}"
        in (second.docker("info").stderr)
    )
    assert second.log.read_text().count(f"no networks: {owned_by(first)}") == 1
    second.kill("engine")
    second.wait_until_it_serves()
    assert second.stop() == 0
    second.options = ("--mtu", "1400")  # as which its default network is made otherwise
    second.start()
    assert state_of_networks() == before
    assert fetch(PORT).startswith(b"HTTP/1.0 200")
    assert "WARNING" not in first.log.read_text()
    ok(first, "rm", "-f", "web")


def test_who_has_loaded_saved_rules_is_no_daemon(first: Mortal, tmp_path: Path) -> None:
    """And has the networks for as long as the program goes on by which he did."""
    ok(first, *RUN, "host", "true")
    saved = nft("list", "table", "inet", "pysup_owner")
    assert first.stop() == 0
    first.start()
    (tmp_path / "saved").write_text(saved)
    with subprocess.Popen(["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        holder.stdin.write(f'include "{tmp_path}/saved"\n'.encode())
        holder.stdin.flush()
        until(lambda: "pysup_owner" in nft("list", "tables"), "the table")
        told = refused(first, *RUN, "host", "true")
        assert (
            f"cannot make network bridge: nft (pid {holder.pid}), no pysup daemon, has the nftables table"
            in told
        )
        assert "; end it, and load no saved rules with that table in them; --network none" in told
        holder.stdin.close()
    ok(first, *RUN, "host", "true")


def test_the_networks_are_kept_whoever_is_killed_and_over_an_upgrade(first: Mortal, second: Mortal) -> None:
    ok(first, *RUN, "host", "true")
    for who in ("engine", "keeper", "keeper", "engine"):
        first.kill(who)
        first.wait_until_it_serves()
        assert_refused(second, first)
    first.upgrade()
    first.wait_until_it_serves()
    assert_refused(second, first)
    ok(first, *RUN, "host", "true")


def test_the_next_need_has_them_once_their_owner_has_ended(first: Mortal, second: Mortal) -> None:
    """What the first had forwarding switched on for is still forwarded for nobody else."""
    subprocess.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"], check=True)
    serve(first, "web", "--stop-timeout", "0", "-p", f"{PORT}:80")
    assert_refused(second, first)
    strangers = nft("list", "chain", "inet", "pysup", "strangers")
    assert "nfproto ipv4 drop" in strangers
    assert first.stop() == 0
    serve(second, "web", "-p", f"{PORT}:80")
    assert fetch(PORT).startswith(b"HTTP/1.0 200")
    assert "are this daemon's now" in second.log.read_text()
    assert nft("list", "chain", "inet", "pysup", "strangers") == strangers
    first.start()
    assert_refused(first, second)
    ok(second, "rm", "-f", "web")
    assert second.stop() == 0
    ok(first, *RUN, "host", "true")
    second.start()


def test_what_a_killed_daemon_led_is_taken_back_by_its_next_and_left_alone_by_another(
    first: Mortal, second: Mortal
) -> None:
    ok(first, "run", "-d", "--name", "web", "-p", f"{PORT}:80", "host", "sleep", "1000")
    first.kill("keeper", "engine")
    first.bury()
    assert second.stop() == 0
    second.start()
    assert of_networks(second)["detail"] == "nobody's yet"
    assert str(PORT) in nft("list", "map", "inet", "pysup", "any4")
    first.start()
    until(lambda: str(PORT) not in nft("list", "map", "inet", "pysup", "any4"), "the end of the port")
    assert_refused(second, first)
    ok(first, "rm", "-f", "web")
