from __future__ import annotations

import pytest

from pysup.supervisor.api.routes.logs import Encoder
from pysup.supervisor.logs.lines import Entry
from pysup.supervisor.logs.records import GAP

TIME = 1_800_000_000 * 10**9
STAMP = b"2027-01-15T08:00:00.000000000Z "


def test_output_goes_in_frames_as_it_was_written() -> None:
    encoder = Encoder(timestamps=False, details=None)
    assert not encoder.by_line
    assert encoder.framed(Entry(TIME, 2, b"x\n")) == b"\x02\0\0\0\0\0\0\x02x\n"
    assert encoder.raw(Entry(TIME, 1, b"x\n")) == b"x\n"


def test_each_line_has_a_frame_of_its_own() -> None:
    """docker-py gives its caller what comes in one frame."""
    encoder = Encoder(timestamps=False, details=None)
    assert encoder.framed(Entry(TIME, 1, b"x\nyy\n")) == b"\1\0\0\0\0\0\0\2x\n\1\0\0\0\0\0\0\3yy\n"
    assert encoder.framed(Entry(TIME, 1, b"x\nyy")) == b"\1\0\0\0\0\0\0\2x\n\1\0\0\0\0\0\0\2yy"
    assert encoder.framed(Entry(TIME, 1, b"\n\n")) == b"\1\0\0\0\0\0\0\1\n" * 2


def test_the_rest_of_a_line_has_no_time_of_its_own() -> None:
    encoder = Encoder(timestamps=True, details=None)
    assert encoder.raw(Entry(TIME, 1, b"begin", partial=True)) == STAMP + b"begin"
    assert encoder.raw(Entry(TIME, 2, b"other\n")) == STAMP + b"other\n"
    assert encoder.raw(Entry(TIME, 1, b" end\n")) == b" end\n"
    assert encoder.raw(Entry(TIME, 1, b"next\n")) == STAMP + b"next\n"


@pytest.mark.parametrize(("details", "shown"), [("", b" "), ("a=1,tag=web", b"a=1,tag=web ")])
def test_details_come_between_the_time_and_the_line(details: str, shown: bytes) -> None:
    entry = Entry(TIME, 1, b"x\n")
    assert Encoder(timestamps=True, details=details).raw(entry) == STAMP + shown + b"x\n"
    assert Encoder(timestamps=False, details=details).raw(entry) == shown + b"x\n"


def test_a_gap_is_told_on_stderr() -> None:
    told = Encoder(timestamps=False, details=None).framed(Entry(TIME, GAP, b"", lost=7))
    assert told[0] == 2
    assert told[8:] == b"pysup: 7 bytes of output are missing here\n"
