"""A container sees the names of its own networks, all of them, and of no other; round robin gives all their turn."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.network.addresses import Address
from pysup.supervisor.network.names.zone import Member, Table, Zone, rotated


def addresses(*texts: str) -> tuple[Address, ...]:
    """Several."""
    return tuple(ip_address(text) for text in texts)


WEB = Member("Web", "0123456789ab", addresses("10.9.0.2", "fd09::2"), "box", ("www", "front.example"))
DB = Member("db", "ba9876543210", addresses("10.9.0.3"), aliases=("www",))
DB_THERE = Member("db", "ba9876543210", addresses("10.8.0.3"))


def zone_of_two() -> Zone:
    here, there = Table("here"), Table("There.net")
    here.add("1", WEB)
    here.add("2", DB)
    there.add("3", DB_THERE)
    return Zone((here, there), {"database": "DB"})


def test_every_name_of_a_container_is_found_in_any_case() -> None:
    zone = zone_of_two()
    for name in ("web", "WEB", "0123456789ab", "box", "Front.Example", "web.here", "front.example.HERE"):
        assert zone.addresses(name) == WEB.addresses
    for name in ("", "we", "web.there.net", "web.nowhere", ".here", "here", "web.", "web..here"):
        assert zone.addresses(name) is None


def test_the_first_network_that_knows_a_name_answers_and_a_network_can_be_named() -> None:
    zone = zone_of_two()
    assert zone.addresses("db") == DB.addresses
    assert zone.addresses("db.there.net") == DB_THERE.addresses
    assert zone.addresses("database") == DB.addresses
    assert zone.addresses("database.there.net") == DB_THERE.addresses


def test_an_alias_of_several_has_the_addresses_of_all() -> None:
    assert zone_of_two().addresses("www") == (*WEB.addresses, *DB.addresses)


def test_reverse_names_the_container_and_the_network() -> None:
    zone = zone_of_two()
    assert zone.name_of(ip_address("fd09::2")) == "Web.here"
    assert zone.name_of(ip_address("10.8.0.3")) == "db.There.net"
    assert zone.name_of(ip_address("10.7.0.1")) is None


NAMES = st.sampled_from(["a", "b", "a.b", "B", "c"])
MEMBERS = st.builds(
    Member,
    NAMES,
    st.sampled_from(["00", "11"]),
    st.lists(st.integers(1, 5).map(lambda last: ip_address(f"10.0.0.{last}")), max_size=2).map(tuple),
    st.one_of(st.just(""), NAMES),
    st.lists(NAMES, max_size=2).map(tuple),
)
STEPS = st.lists(st.tuples(st.integers(0, 3), st.booleans(), MEMBERS), max_size=15)


@given(STEPS)
def test_a_table_is_what_was_added_and_not_removed(steps: list[tuple[int, bool, Member]]) -> None:
    table, on_it = Table("n"), dict[str, Member]()
    for number, adds, member in steps:
        endpoint = str(number)
        if endpoint in on_it:
            table.remove(endpoint, on_it.pop(endpoint))
        if adds:
            table.add(endpoint, member)
            on_it[endpoint] = member
    for name in ("a", "b", "a.b", "c", "00", "11", "d"):
        having = [member for member in on_it.values() if name in member.names()]
        found = table.addresses(name)
        assert (found is None) == (not having)
        assert set(found or ()) == {address for member in having for address in member.addresses}
        assert len(set(found or ())) == len(found or ())
    for last in range(1, 6):
        address = ip_address(f"10.0.0.{last}")
        owners = {member.container for member in on_it.values() if address in member.addresses}
        assert table.container(address) in (owners or {None})


def test_an_empty_table_keeps_nothing_of_those_that_went() -> None:
    table = Table("n")
    table.add("1", WEB)
    table.remove("1", WEB)
    table.remove("1", WEB)
    assert table == Table("n")


@given(st.lists(MEMBERS, max_size=4), st.lists(MEMBERS, max_size=4), st.text("ab.cnmBM01", max_size=8))
def test_nothing_leaks_from_another_network(here: list[Member], there: list[Member], name: str) -> None:
    own, other = Table("n"), Table("m")
    for number, member in enumerate(here):
        own.add(str(number), member)
    for number, member in enumerate(there):
        other.add(str(number), member)
    found = Zone((own,)).addresses(name)
    assert set(found or ()) <= {address for member in here for address in member.addresses}
    assert Zone((Table("n"), other)).addresses(f"{name}.n") == Zone((other,)).addresses(f"{name}.n")


@given(st.integers(1, 6), st.integers(0, 20))
def test_each_is_first_in_its_turn(count: int, turn: int) -> None:
    every = [ip_address(number) for number in range(count)]
    turns = [rotated(every, turn + step) for step in range(count)]
    assert {order[0] for order in turns} == set(every)
    assert all(sorted(order, key=int) == every for order in turns)
    assert rotated([], turn) == []
