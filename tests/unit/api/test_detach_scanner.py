"""The scanner for detach keys against the obvious way of doing it: with all of the input at hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.api.streams import DetachScanner

keys = st.binary(min_size=0, max_size=4).map(lambda data: bytes(byte & 1 for byte in data))
inputs = st.lists(st.binary(max_size=6).map(lambda data: bytes(byte & 1 for byte in data)), max_size=6)


def naive(sequence: bytes, data: bytes) -> tuple[bytes, bool]:
    at = data.find(sequence) if sequence else -1
    return (data, False) if at < 0 else (data[:at], True)


@given(keys, inputs)
def test_any_splitting_gives_the_same(sequence: bytes, pieces: list[bytes]) -> None:
    """Two values only, so that the beginnings of a sequence overlap in every way."""
    scanner, passed, detached = DetachScanner(sequence), b"", False
    for piece in pieces:
        found, detached = scanner.feed(piece)
        passed += found
        if detached:
            break
    else:
        passed += scanner.rest()
    assert (passed, detached) == naive(sequence, b"".join(pieces))


@given(keys.filter(bool), inputs)
def test_no_more_is_withheld_than_must_be(sequence: bytes, pieces: list[bytes]) -> None:
    scanner, seen, passed = DetachScanner(sequence), b"", b""
    for piece in pieces:
        found, detached = scanner.feed(piece)
        seen, passed = seen + piece, passed + found
        if detached:
            return
        withheld = seen[len(passed) :]
        assert seen == passed + withheld and sequence.startswith(withheld)
        longest = next(n for n in range(len(sequence) - 1, -1, -1) if seen.endswith(sequence[:n]))
        assert len(withheld) == longest


def test_what_follows_the_keys_is_dropped() -> None:
    scanner = DetachScanner(b"\x10\x11")
    assert scanner.feed(b"a\x10") == (b"a", False)
    assert scanner.feed(b"\x11b") == (b"", True)
    assert scanner.rest() == b""
