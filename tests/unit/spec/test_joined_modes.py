"""Modes of namespaces that are another container's. Pure."""

from __future__ import annotations

from pysup.supervisor.spec.container import Namespaces
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.namespaces import JOINED_IDS, joined_ids, namespaces


def joined(**host: object) -> Namespaces:
    return namespaces(Fields("start container", host, "HostConfig"))


def test_the_ids_of_another_container_are_kept() -> None:
    theirs = joined(UsernsMode="auto", Pysup={"IdRange": {"Start": 5000, "Size": 100}})
    kept = joined_ids(theirs, {"Start": 5000, "Size": 100})
    own = joined(UsernsMode="container:abc", Pysup={JOINED_IDS: kept})
    assert (own.uid_maps, own.gid_maps, own.user_auto) == (theirs.uid_maps, theirs.gid_maps, True)
    assert (own.user, own.user_of) == ("private", "abc")
    again = joined(UsernsMode="container:own", Pysup={JOINED_IDS: joined_ids(own, {})})
    assert (again.uid_maps, again.user_auto) == (theirs.uid_maps, False)


def test_who_has_the_hosts_ids_has_none_to_share() -> None:
    assert joined_ids(joined(), {}) == {}
    own = joined(UsernsMode="container:abc")
    assert (own.user, own.user_of, own.uid_maps) == ("host", "", ())
