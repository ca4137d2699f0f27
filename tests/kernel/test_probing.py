"""Parts of the kernel that networks need, tried for real. The guest (tests/vm) has neither bridges nor rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import Daemon

from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.network.probing import missing_links, missing_rules

pytestmark = pytest.mark.kernel

NEEDED = {"bridge", "veth", "macvlan", "nftables"}
DAEMON_ERROR = 125


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path) as running:
        yield running


def lacks(daemon: Daemon) -> dict[str, str]:
    """What ``pysup info`` tells of each part that is missing."""
    found = json.loads(daemon.pysup("info", "--format", "json", check=True).stdout)["Pysup"]["Features"]
    assert set(found) >= NEEDED
    return {name: found[name]["cost"] for name in NEEDED if not found[name]["present"]}


async def test_what_networks_need_is_there() -> None:
    """ipvlan may be missing."""
    assert not {part.module for part in await missing_links()} & NEEDED
    assert await missing_rules(Firewall()) == []


@pytest.mark.vm
def test_what_is_missing_is_told_by_info_and_by_each_error(daemon: Daemon) -> None:
    lacking = lacks(daemon)
    made = daemon.pysup("network", "create", "mine", check=True)
    started = daemon.pysup("run", "-p", "8080:80", "--network", "mine", "host", "true")
    if "nftables" in lacking:
        assert "the kernel has no nftables (module nf_tables, CONFIG_NF_TABLES_INET)" in lacking["nftables"]
        assert "(module bridge, CONFIG_BRIDGE)" in lacking["bridge"]
        assert "cannot set up the firewall: the kernel has no nftables (module nf_tables" in started.stderr
        assert "; --network none and host work without it" in started.stderr
        assert started.returncode == DAEMON_ERROR
    else:
        assert (lacking, started.returncode) == ({}, 0)
    assert daemon.pysup("run", "--rm", "--network", "none", "host", "echo", "hello").stdout == "hello\n"
    assert "8080/tcp is not published" in daemon.pysup("explain", "port", "8080", check=True).stdout
    daemon.pysup("rm", *daemon.pysup("ps", "-aq").stdout.split())
    daemon.pysup("network", "rm", made.stdout.strip(), check=True)
