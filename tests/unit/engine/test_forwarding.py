"""The note of which versions of IP the machine forwards for us alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pysup.supervisor.engine.networks.forwarding import Forwarding


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """Of this life: IPv6 was off."""
    path = tmp_path / "forwarding"
    Forwarding(str(path), None, drops=True)._write(frozenset({6}))
    return path


def read(note: Path) -> frozenset[int]:
    return Forwarding(str(note), None, drops=True).guarded


def test_the_next_engine_knows_of_which_versions_it_drops_what_is_not_ours(note: Path) -> None:
    assert read(note) == {6}


@pytest.mark.parametrize(
    "damaged", [{"versions": None}, {"versions": 6}, {"versions": [[]]}, {}, [], 6, "", None]
)
def test_a_damaged_note_is_taken_for_absent_and_it_is_said(
    note: Path, damaged: object, caplog: pytest.LogCaptureFixture
) -> None:
    life = json.loads(note.read_text())["life"]
    note.write_text(json.dumps({"life": life, **damaged} if isinstance(damaged, dict) else damaged))
    assert read(note) == frozenset()
    assert f"{note} is taken for absent: " in caplog.text


def test_no_note_and_that_of_another_boot_are_nothing_to_tell(
    note: Path, caplog: pytest.LogCaptureFixture
) -> None:
    note.write_text(json.dumps({"life": ["another", 1], "versions": [4]}))
    assert read(note) == frozenset()
    assert read(note.with_name("none")) == frozenset()
    assert not caplog.text
