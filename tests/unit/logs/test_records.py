"""The index's coding: what is packed is unpacked, what is torn or zero is not taken for a record."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.logs.records import (
    GAP,
    SIZE,
    STDERR,
    STDOUT,
    Header,
    Record,
    open_after,
    unpack_header,
    unpack_record,
    unpack_records,
)

numbers = st.integers(0, (1 << 64) - 1)
records = st.builds(
    Record,
    offset=numbers,
    time=numbers,
    kind=st.sampled_from([STDOUT, STDERR, GAP]),
    open=st.integers(0, 7),
    value=numbers,
)


@given(st.lists(records), st.integers(0, SIZE - 1))
def test_records_survive_coding_and_half_a_record_is_none(found: list[Record], cut: int) -> None:
    data = b"".join(record.pack() for record in found)
    assert unpack_records(data + b"x" * cut) == found
    assert [unpack_record(record.pack()) for record in found] == found


@given(numbers, numbers)
def test_a_header_survives_coding(base: int, created: int) -> None:
    assert unpack_header(Header(base, created).pack()) == Header(base, created)


@given(records, st.integers(0, SIZE * 8 - 1))
def test_one_flipped_bit_is_seen(record: Record, bit: int) -> None:
    data = bytearray(record.pack())
    data[bit // 8] ^= 1 << bit % 8
    assert unpack_record(bytes(data)) is None
    assert unpack_header(bytes(data)) is None


def test_zeros_and_short_blocks_are_neither_header_nor_record() -> None:
    for data in (bytes(SIZE), b"", Header(1, 2).pack()[:-1]):
        assert unpack_header(data) is None
        assert unpack_record(data) is None


def test_a_stream_is_within_a_line_until_its_chunk_ends_with_a_newline() -> None:
    record = Record(0, 0, 0, STDOUT, open=1 << STDERR)
    assert open_after(record, b"x") == (1 << STDOUT | 1 << STDERR)
    assert open_after(record, b"\n") == 1 << STDERR
    assert open_after(record, b"") == 1 << STDERR
    assert open_after(record._replace(kind=GAP), b"") == 0
