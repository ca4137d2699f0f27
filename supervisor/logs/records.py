"""The sidecar index's coding: a header, then one record of fixed size for each chunk that was copied.

A record says what begins at its offset; its chunk ends where the next record begins, or at the end of the
file. It is written before its chunk, so a crash between the two leaves an empty chunk and never bytes of
an unknown stream. Header and record are 32 bytes, so none crosses a page and any one is found by its number.
All numbers are little-endian and unsigned. Offsets are logical: they count from the container's first byte.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

STDOUT, STDERR, GAP = 1, 2, 3
"""Kinds of a record: docker's two stream numbers (what a terminal shows is stdout), and bytes that were lost.

Zero is none, so that a block of zeros (a power cut leaves those) is no record.
"""
STREAMS = frozenset({STDOUT, STDERR})
KINDS = frozenset({STDOUT, STDERR, GAP})

MAGIC = b"pysuplog"
VERSION = 1
SIZE = 32

_HEADER = struct.Struct("<8sQQI")
_RECORD = struct.Struct("<QQQHH")
_CHECKSUM = struct.Struct("<I")
_FIELDS = struct.Struct(_RECORD.format + "4x")


class Header(NamedTuple):
    """The first 32 bytes of an index."""

    base: int
    """The logical offset of the segment's first byte."""
    created: int
    """Nanoseconds since the epoch."""

    def pack(self) -> bytes:
        """Encode, with a checksum."""
        return _sealed(_HEADER.pack(MAGIC, self.base, self.created, VERSION))


class Record(NamedTuple):
    """What begins at ``offset``; the fields are in the order of their bytes."""

    offset: int
    time: int
    """When the chunk was copied, in nanoseconds since the epoch; never before that of an earlier record."""
    value: int
    """GAP: how many bytes are missing; else 0."""
    kind: int
    """GAP, STDOUT or STDERR."""
    open: int
    """Bit ``1 << stream``: at this offset that stream is within a line. So reading can begin at any record."""

    def pack(self) -> bytes:
        """Encode, with a checksum."""
        return _sealed(_RECORD.pack(*self))


def unpack_header(data: bytes) -> Header | None:
    """Decode; None if this is no whole header of a version that is known."""
    if len(data) != SIZE or not is_sound(data):
        return None
    magic, base, created, version = _HEADER.unpack_from(data)
    return Header(base, created) if (magic, version) == (MAGIC, VERSION) else None


def unpack_record(data: bytes) -> Record | None:
    """Decode and check; None if this is no whole record."""
    return unpack_records(data)[0] if len(data) == SIZE and is_sound(data) else None


def unpack_records(data: bytes) -> list[Record]:
    """Decode a block of records, without their checksums: a reader wants thousands. Half a record is none."""
    whole = memoryview(data)[: len(data) - len(data) % SIZE]
    return list(map(Record._make, _FIELDS.iter_unpack(whole)))


def open_after(record: Record, last_byte: bytes) -> int:
    """The bits of Record.open at the end of a record's chunk, by its last byte (none: the chunk is empty)."""
    if record.kind == GAP:
        return 0
    bit = 1 << record.kind
    if not last_byte:
        return record.open
    return record.open & ~bit if last_byte == b"\n" else record.open | bit


def is_sound(data: bytes) -> bool:
    """Tell whether the checksum at the end fits: that of a torn write does not, nor that of zeros."""
    (checksum,) = _CHECKSUM.unpack_from(data, SIZE - _CHECKSUM.size)
    return bool(checksum == zlib.crc32(data[: -_CHECKSUM.size]))


def _sealed(data: bytes) -> bytes:
    return data + _CHECKSUM.pack(zlib.crc32(data))
