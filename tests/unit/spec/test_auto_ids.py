"""``--userns auto``: its syntax, the map that follows, and where a range is taken from. Pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.spec.auto_ids import (
    DEFAULT_POOL,
    Auto,
    Range,
    check_mode,
    free_range,
    maps_of,
    parse_auto,
    parse_pool,
    pool_of,
)
from pysup.supervisor.spec.from_docker import normalise
from pysup.supervisor.spec.id_maps import IdMap

ranges = st.lists(st.builds(Range, st.integers(1, 300), st.integers(1, 40)), max_size=8)


def test_syntax() -> None:
    assert parse_auto("auto") == Auto()
    wanted = Auto(2000, (IdMap(33, 1000, 1), IdMap(5, 6, 7)), (IdMap(1, 2, 3),), fallback=True)
    text = "auto:size=2000,uidmapping=33:1000:1,gidmapping=1:2:3,uidmapping=5:6:7,fallback=host"
    assert parse_auto(text) == wanted


@pytest.mark.parametrize(
    "text",
    ["auto:x", "auto:size=0", "auto:size=99999999", "auto:size=", "auto:uidmapping=1:2", "auto:fallback=auto",
     "auto:uidmapping=0:0:0", "auto:gidmapping=0:4294967295:1", "auto:,", "auto:size=٣"],
)  # fmt: skip
def test_wrong_syntax(text: str) -> None:
    with pytest.raises(ValueError, match="--userns auto"):
        check_mode(text)


@given(
    st.integers(1, 200),
    st.lists(st.builds(IdMap, st.integers(0, 250), st.integers(5000, 9000), st.integers(1, 30)), max_size=4),
)
def test_every_id_is_mapped_once_and_in_order(size: int, given: list[IdMap]) -> None:
    taken: set[int] = set()
    apart = [one for one in given if taken.isdisjoint(ids := set(range(one.container, one.container + one.size)))
             and not taken.update(ids)]  # fmt: skip
    found = maps_of(1000, size, apart)
    seen = [(one.container + n, one.host + n) for one in found for n in range(one.size)]
    assert [inside for inside, _ in seen] == sorted(taken | set(range(size)))
    for inside, outside in seen:
        assert outside == 1000 + inside or inside in taken
    assert all(one in found for one in apart)


@given(ranges, ranges, st.integers(1, 50))
def test_a_free_range_lies_in_the_pool_and_in_nobody_elses(
    pool: list[Range], used: list[Range], size: int
) -> None:
    """… and there is one if any place has room."""
    taken = {number for one in used for number in range(one.start, one.end)}
    fitting = [
        start
        for one in pool
        for start in range(one.start, one.end - size + 1)
        if taken.isdisjoint(range(start, start + size))
    ]
    found = free_range(pool, used, size)
    assert (found is None) == (not fitting)
    if found is not None:
        assert found.size == size and found.start in fitting


SUBUID = "root:100000:65536\n# a comment\ncontainers:200000:300000\nodd\npysup:x:1\n1000:600000:65536\n"
SUBGID = "containers:250000:300000\n"


def test_the_pool_is_what_both_files_give() -> None:
    pool = pool_of("", SUBUID, SUBGID)
    assert (pool.ranges, pool.taken) == ((Range(250000, 250000),), ())
    own = pool_of("", SUBUID + "pysup:10:20\n", SUBGID + "pysup:10:5")
    assert own.ranges == (Range(10, 5),)


def test_a_pool_of_ones_own_leaves_out_what_others_have() -> None:
    pool = pool_of("90000:100000", SUBUID, SUBGID)
    assert free_range(pool.ranges, pool.taken, 20000) == Range(165536, 20000)
    assert pool_of("", "", "").ranges == (Range(*DEFAULT_POOL),)
    assert DEFAULT_POOL[0] + DEFAULT_POOL[1] < 1 << 31


@pytest.mark.parametrize("text", ["", "1", "0:10", "5:0", "a:b", "4294967290:10", "-1:5"])
def test_wrong_pools(text: str) -> None:
    with pytest.raises(ValueError, match="--userns-pool"):
        parse_pool(text)


def test_the_map_follows_from_the_documents() -> None:
    host = {"UsernsMode": "auto:uidmapping=10:7:1", "Pysup": {"IdRange": {"Start": 5000, "Size": 100}}}
    made = normalise({"Image": "host", "Cmd": ["x"], "HostConfig": host}, {})
    spaces = made.spec.namespaces
    assert (spaces.user, spaces.user_auto) == ("private", True)
    assert spaces.uid_maps == (IdMap(0, 5000, 10), IdMap(10, 7, 1), IdMap(11, 5011, 89))
    assert spaces.gid_maps == (IdMap(0, 5000, 100),)
    assert made.host_config["Pysup"]["IdRange"] == {"Start": 5000, "Size": 100}
    with pytest.raises(BadRequest, match="no range of ids was chosen"):
        normalise({"Image": "host", "Cmd": ["x"], "HostConfig": {"UsernsMode": "auto"}}, {})
