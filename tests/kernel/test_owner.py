"""The table by which one daemon owns the networks of a network namespace, on the real kernel."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from helpers.netlab import namespace, run

from pysup.supervisor.kernel import netns, nftables
from pysup.supervisor.network.owner import claim, owner

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def here() -> Iterator[None]:
    """A network namespace of which nobody owns the networks."""
    with namespace() as fd, netns.entered(fd):
        yield


def inode_of(sock: socket.socket) -> str:
    return str(os.fstat(sock.fileno()).st_ino)


def test_the_second_is_refused_until_the_last_descriptor_of_the_first_is_closed() -> None:
    assert owner() is None
    with claim("one") as first:
        assert owner() == ("one", inode_of(first))
        with pytest.raises(PermissionError):
            claim("two")
        held = first.dup()
    with held, pytest.raises(PermissionError):
        claim("two")
    assert owner() is None
    with claim("two"):
        found = owner()
        assert found is not None and found.comment == "two"


def test_each_network_namespace_has_an_owner_of_its_own() -> None:
    with claim("one"), namespace() as other, netns.entered(other):
        assert owner() is None
        claim("two").close()


def test_the_socket_is_found_whatever_its_port_is() -> None:
    """The first one of a process has its pid."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, nftables.NETFILTER) as other:
        other.bind((0, 0))
        with claim("one") as first:
            assert first.getsockname()[0] != other.getsockname()[0] == os.getpid()
            assert owner() == ("one", inode_of(first))


def test_nobody_else_takes_it_away() -> None:
    with claim("one"):
        run(["nft", "flush", "ruleset"])
        done = subprocess.run(
            ["nft", "delete", "table", "inet", "pysup_owner"], check=False, capture_output=True
        )
        assert b"Operation not permitted" in done.stderr
        found = owner()
        assert found is not None and found.comment == "one"


def test_whoever_looks_at_the_rules_reads_whose_it_is() -> None:
    with claim("the pysup daemon of /srv/own"):
        assert 'comment "the pysup daemon of /srv/own"' in run(["nft", "list", "ruleset"])
    with claim("a" * 500):
        found = owner()
        assert found is not None and found.comment == "a" * 127
        assert f'comment "{"a" * 127}"' in run(["nft", "list", "ruleset"])


def test_a_table_that_nobody_owns_is_no_owner() -> None:
    """As somebody makes it who loads rules that he had saved."""
    run(["nft", 'add table inet pysup_owner { comment "the pysup daemon of /srv/other" ; }'])
    assert owner() is None
    with claim("one"):
        found = owner()
        assert found is not None and found.comment == "one"


ORDINARY = """
import os, sys
from pysup.supervisor.network.owner import claim
os.setresuid(65534, 65534, 65534)
try:
    claim("mine")
except PermissionError:
    print("refused")
"""


def test_an_ordinary_user_cannot_own_them() -> None:
    assert run([sys.executable, "-c", ORDINARY]) == "refused\n"
