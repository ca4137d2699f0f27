"""Whose bridges they are, by their names."""

from __future__ import annotations

import pytest

from pysup.supervisor.network.neighbours import BEGINNINGS, neighbours

OTHERS = [
    "docker0",
    "docker_gwbridge",
    "br-0123456789ab",
    "podman1",
    "cni-podman0",
    "cni0",
    "virbr0",
    "lxdbr0",
    "lxcbr0",
    "incusbr0",
]


@pytest.mark.parametrize("name", OTHERS)
def test_another_managers_bridge_is_spared_unless_it_is_ours(name: str) -> None:
    assert neighbours([name, "eth0"], []) == [name]
    assert neighbours([name], [name]) == []
    assert name.startswith(BEGINNINGS) and all(len(one) <= 4 for one in BEGINNINGS)


@pytest.mark.parametrize(
    "name", ["eth0", "br0", "br-lan", "br-0123456789abc", "docker", "mydocker0", "vmbr0", "pysup0"]
)
def test_what_may_be_anybodys_is_not(name: str) -> None:
    assert neighbours([name], []) == []
