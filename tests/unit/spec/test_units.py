from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.spec.units import (
    format_decimal_size,
    format_duration,
    format_size,
    human_duration,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1", 1),
        ("10b", 10),
        ("1k", 1024),
        ("1KB", 1024),
        ("1KiB", 1024),
        ("1.5m", 1536 << 10),
        ("6M", 6 << 20),
        ("2g", 2 << 30),
        ("1 tb", 1 << 40),
    ],
)
def test_sizes_are_read_as_docker_reads_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "-1", "1x", "1.m", "1e3", "1  k", "9999999p", "٣", "1" * 100])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        parse_size(text)


@given(st.integers(0, (1 << 53) - 1))
def test_a_size_in_bytes_survives_the_round_trip(size: int) -> None:
    assert parse_size(str(size)) == size
    assert parse_size(format_size(size).replace("e+03", "")) <= max(size * 1.001, 1024 * 1025)


@pytest.mark.parametrize(
    ("size", "binary", "decimal"),
    [
        (0, "0B", "0B"),
        (1023, "1023B", "1.02kB"),
        (1536, "1.5KiB", "1.54kB"),
        (64 << 20, "64MiB", "67.1MB"),
    ],
)
def test_sizes_are_written_as_docker_writes_them(size: int, binary: str, decimal: str) -> None:
    assert format_size(size) == binary
    assert format_decimal_size(size) == decimal


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10", 10), ("0.5", 0.5), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600), ("1.5h", 5400), ("10µs", 1e-5)],
)
def test_durations_are_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "1m 30s", "ten", "1e3s", "9999999999h", "."])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        parse_duration(text)


@given(st.integers(0, 9 * 10**12))
def test_a_duration_survives_the_round_trip(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.0015, "1.5ms"), (90, "1m30s"), (3600, "1h0m0s"), (3661.5, "1h1m1.5s"), (-1, "-1s")],
)
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (45, "45 seconds"),
        (60, "About a minute"),
        (180, "3 minutes"),
        (3000, "About an hour"),
        (3 * 3600, "3 hours"),
        (72 * 3600, "3 days"),
        (21 * 86400, "3 weeks"),
        (100 * 86400, "3 months"),
        (3 * 365 * 86400, "3 years"),
    ],
)
def test_long_times_are_words(seconds: float, words: str) -> None:
    assert human_duration(seconds) == words
