"""Ports of a container that is there: which bindings it has after an update."""

from __future__ import annotations

from typing import Any

import pytest

from pysup.supervisor.errors import BadRequest, Conflict
from pysup.supervisor.spec.update import merge_update

HOST: dict[str, Any] = {
    "NetworkMode": "bridge",
    "PortBindings": {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": "8081"}],
        "53/udp": [{"HostIp": "", "HostPort": ""}],
    },
}


def after(add: Any = None, remove: Any = None, published: Any = ()) -> Any:
    return merge_update(HOST, {"PublishAdd": add, "PublishRemove": remove}, published)["PortBindings"]


def numbers(found: Any) -> list[str]:
    return [one["HostPort"] for one in found["80/tcp"]]


def test_ports_are_added_once() -> None:
    found = after(add={"80/tcp": [{"HostPort": "9090"}, {"HostPort": "8080"}], "81/tcp": []})
    assert numbers(found) == ["8080", "8081", "9090"]
    assert found["81/tcp"] == [{"HostIp": "", "HostPort": ""}]
    assert numbers(HOST["PortBindings"]) == ["8080", "8081"]


def test_ports_are_removed_by_all_or_a_part_of_what_they_are() -> None:
    assert "80/tcp" not in after(remove={"80/tcp": []})
    assert numbers(after(remove={"80/tcp": [{"HostPort": "8080"}]})) == ["8081"]
    assert numbers(after(remove={"80/tcp": [{"HostIp": "127.0.0.1"}]})) == ["8080"]
    assert "53/udp" not in after(remove={"53/udp": [{"HostPort": "40000"}]}, published=[("53/udp", 40000)])


def test_a_port_moves_in_one_update() -> None:
    found = after(add={"80/tcp": [{"HostPort": "9090"}]}, remove={"80/tcp": []})
    assert numbers(found) == ["9090"]


@pytest.mark.parametrize(
    ("remove", "told"),
    [
        ({"80/tcp": [{"HostPort": "9"}]}, "--publish-rm 9:80/tcp: it publishes no such port"),
        ({"81/tcp": []}, "--publish-rm 81/tcp: it publishes no such port"),
        ({"53/udp": [{"HostPort": "40001"}]}, "no such port"),
    ],
)
def test_what_is_not_published_cannot_be_removed(remove: Any, told: str) -> None:
    with pytest.raises(Conflict, match=told):
        after(remove=remove, published=[("53/udp", 40000)])


@pytest.mark.parametrize("mode", ["none", "host", "container:abc"])
def test_who_has_no_ports_of_its_own_publishes_none(mode: str) -> None:
    with pytest.raises(BadRequest, match=f"conflict with --network {mode}"):
        merge_update({"NetworkMode": mode}, {"PublishAdd": {"80/tcp": []}})


def test_dockers_own_field_is_refused_with_the_way_that_works() -> None:
    with pytest.raises(BadRequest, match="--publish-add and --publish-rm can"):
        merge_update(HOST, {"PortBindings": {"80/tcp": [{"HostPort": "1"}]}})
