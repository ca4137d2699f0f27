"""The seal of secrets: opens with the same key and name only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.engine.secrets.sealing import Seal
from pysup.supervisor.errors import Unavailable


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key file."""
    path = tmp_path_factory.mktemp("key") / "secret.key"
    Seal(str(path), make=True).close("x", b"x")
    return path


@given(value=st.binary(min_size=1, max_size=200), changed=st.integers(0, 10_000))
def test_what_was_sealed_opens_unchanged_or_not_at_all(key: Path, value: bytes, changed: int) -> None:
    seal = Seal(str(key), make=False)
    sealed = seal.close("token", value)
    assert seal.open("token", sealed) == value
    assert value not in sealed or len(value) < 4
    assert seal.close("token", value) != sealed
    at = changed % len(sealed)
    for name, content in (
        ("other", sealed),
        ("token", sealed[:at]),
        ("token", sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]),
    ):
        with pytest.raises(Unavailable, match="cannot use secret"):
            seal.open(name, content)


def test_a_key_that_was_named_is_never_made(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="is missing"):
        Seal(str(tmp_path / "key"), make=False).close("x", b"x")
    assert os.listdir(tmp_path) == []


def test_a_key_that_was_half_written_when_the_daemon_died_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "key.new").write_bytes(b"half")
    seal = Seal(str(tmp_path / "key"), make=True)
    assert seal.open("x", seal.close("x", b"x")) == b"x"
    assert os.listdir(tmp_path) == ["key"]


@pytest.mark.parametrize("content", [b"", bytes(31), bytes(33)])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Unavailable, match="has not 32 bytes"):
        Seal(str(path), make=True).close("x", b"x")
