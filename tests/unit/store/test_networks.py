"""Networks, endpoints, leases and ports: the rows, and what the database itself refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from sqlite3 import Connection, IntegrityError

import pytest
from helpers.network_rows import add_container, add_network, endpoint_of, full

from pysup.store import containers, endpoints, networks
from pysup.store.database import open_or_create
from pysup.store.endpoints import Lease
from pysup.store.errors import Ambiguous, Missing, NameTaken


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    """A store with one network and one container on it."""
    found = open_or_create(str(tmp_path / "pysup.db"))
    add_network(found, "aa", "net", "10.9.0.0/24", "10.9.0.1")
    add_container(found, "c1")
    endpoints.insert(found, endpoint_of("c1", "aa"))
    endpoints.add_lease(found, Lease(full("aa"), "10.9.0.2", "10.9.0.0/24", full("e1"), asked=False))
    yield found
    found.close()


def test_a_network_is_found_by_name_id_and_unique_prefix(conn: Connection) -> None:
    add_network(conn, "ab", "other", "10.10.0.0/24", "10.10.0.1")
    assert networks.find(conn, "net") == networks.find(conn, full("aa")) == networks.find(conn, "aa")
    assert [one.name for one in networks.list_networks(conn)] == ["net", "other"]
    with pytest.raises(Ambiguous):
        networks.find(conn, "a")
    with pytest.raises(Missing):
        networks.find(conn, "")
    with pytest.raises(NameTaken, match=r"network aa0+ has it"):
        add_network(conn, "ac", "net", "10.11.0.0/24", "10.11.0.1")


def test_an_address_has_one_holder_on_the_network_of_its_endpoint(conn: Connection) -> None:
    add_network(conn, "ab", "other", "10.10.0.0/24", "10.10.0.1")
    add_container(conn, "c2")
    endpoints.insert(conn, endpoint_of("c2", "aa"))
    with pytest.raises(IntegrityError):
        endpoints.add_lease(conn, Lease(full("aa"), "10.9.0.2", "10.9.0.0/24", full("e2"), asked=False))
    with pytest.raises(IntegrityError):
        endpoints.add_lease(conn, Lease(full("ab"), "10.10.0.2", "10.10.0.0/24", full("e2"), asked=False))
    with pytest.raises(IntegrityError):
        endpoints.add_lease(conn, Lease(full("aa"), "10.9.0.3", "10.10.0.0/24", full("e2"), asked=False))
    holder = endpoints.holder(conn, full("aa"), "10.9.0.2")
    assert holder is not None and holder.endpoint_id == full("e1")


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_removed_container_leaves_no_endpoint_lease_or_port(conn: Connection, forgotten: bool) -> None:
    endpoints.set_ports(conn, full("c1"), [("tcp", "127.0.0.1", 8080, 80)])
    if forgotten:
        containers.delete(conn, full("c1"))
    else:
        containers.update(conn, full("c1"), state="removed", removed_at=5)
    assert endpoints.of_network(conn, full("aa")) == []
    assert endpoints.holder(conn, full("aa"), "10.9.0.2") is None
    assert endpoints.ports(conn, active=False) == []


def test_a_port_is_given_back_in_the_transaction_in_which_its_container_rests(conn: Connection) -> None:
    containers.update(conn, full("c1"), state="running")
    endpoints.set_ports(conn, full("c1"), [("tcp", "127.0.0.1", 8080, 80)])
    add_container(conn, "c2")
    with pytest.raises(IntegrityError):
        endpoints.set_ports(conn, full("c2"), [("tcp", "127.0.0.1", 8080, 80)])
    assert [port.container_id for port in endpoints.using_port(conn, "tcp", 8080)] == [full("c1")]
    containers.update(conn, full("c1"), state="exited")
    assert endpoints.using_port(conn, "tcp", 8080) == []
    endpoints.set_ports(conn, full("c2"), [("tcp", "127.0.0.1", 8080, 80)])
    assert [port.host_port for port in endpoints.ports(conn, full("c1"), active=False)] == [8080]


def test_a_network_takes_all_that_hangs_on_it_along(conn: Connection) -> None:
    networks.delete(conn, full("aa"))
    assert networks.subnets(conn) == [] and endpoints.of_container(conn, full("c1")) == []
    assert endpoints.leases(conn, full("e1")) == []
