from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.spec.timestamps import NEVER, parse_unix, rfc3339, rfc3339_fixed


@given(st.integers(-(10**18), 253402300799 * 10**9))
def test_times_are_those_of_the_calendar(time_ns: int) -> None:
    second, part = divmod(time_ns, 10**9)
    expected = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    assert rfc3339_fixed(time_ns) == f"{expected}.{part:09d}Z"


def test_trailing_zeros_are_dropped_where_go_drops_them() -> None:
    assert rfc3339(1_500_000_000) == "1970-01-01T00:00:01.5Z"
    assert rfc3339(0) == "1970-01-01T00:00:00Z"
    assert rfc3339_fixed(1_500_000_000) == "1970-01-01T00:00:01.500000000Z"
    assert rfc3339(None) == NEVER


@given(st.integers(0, 10**18))
def test_a_fraction_of_a_second_loses_no_digit(time_ns: int) -> None:
    assert parse_unix(f"{time_ns // 10**9}.{time_ns % 10**9:09d}") == time_ns


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("0", 0),
        ("1795461245.0174518", 1795461245_017451800),
        ("-1.5", -1_500_000_000),
        ("7.", 7 * 10**9),
        ("9" * 12, (1 << 63) - 1),
    ],
)
def test_unix_times_are_read(text: str, time_ns: int) -> None:
    assert parse_unix(text) == time_ns


@pytest.mark.parametrize("text", ["", "now", "1e9", "1.2.3", "2026-11-24T00:00:00Z", "9" * 20, " 1"])
def test_what_is_no_unix_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid time"):
        parse_unix(text)
