"""Ids of a container within those that the daemon itself has."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.engine.containers.nested_ids import split
from pysup.supervisor.kernel.own_ids import Mapped
from pysup.supervisor.spec.id_maps import IdMap

OWN = (Mapped(0, 1000, 1), Mapped(1, 100000, 65536))
WHOLE = (Mapped(0, 0, 0xFFFFFFFF),)
maps = st.builds(IdMap, st.integers(0, 70000), st.integers(0, 70000), st.integers(1, 70000))


@given(maps)
def test_each_piece_is_in_one_line_and_no_id_is_moved(one: IdMap) -> None:
    found = list(split([one], OWN))
    for piece in found:
        assert piece.host - piece.container == one.host - one.container
        assert any(
            line.inside <= piece.host and piece.host + piece.size <= line.inside + line.size for line in OWN
        )
    ids = [number for piece in found for number in range(piece.host, piece.host + piece.size)]
    assert ids == [number for number in range(one.host, one.host + one.size) if number <= 65536]


@given(maps)
def test_root_has_all_ids(one: IdMap) -> None:
    assert list(split([one], WHOLE)) == [one]
