"""Whom an upgrade is asked of."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pysup.supervisor.keeper import ground
from pysup.supervisor.settings import Settings


def test_a_daemon_that_has_not_signed_its_lock_yet(tmp_path: Path) -> None:
    """It is just being started, or an engine takes the place of the keeper whose pid is still there."""
    settings = Settings(root=str(tmp_path))
    lock = ground.take_lock(settings)
    with subprocess.Popen(["true"]) as ended:
        pass
    for owner in (b"", f"{ended.pid:<10}\n".encode()):
        os.pwrite(lock, owner, 0)
        with pytest.raises(ground.CannotStart, match=f"that of {tmp_path} begins just now"):
            ground.ask_to_upgrade(settings)
    os.close(lock)


def test_what_was_made_for_a_daemon_that_is_refused_goes(tmp_path: Path) -> None:
    settings = Settings(root=str(tmp_path / "new/root"), run=str(tmp_path / "new/run/deep"))
    directories = ground.Directories(settings)
    directories.make()
    os.close(ground.take_lock(settings))
    directories.remove_unused()
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_keeps_no_permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the mode without a word, as vfat does."""
    settings = Settings(root=str(tmp_path / "root"), run=str(tmp_path / "run"))
    monkeypatch.setattr(ground.os, "chmod", lambda *_: None)
    with pytest.raises(ground.CannotStart, match=r"its file system keeps no permissions: .* \(mode 755\)"):
        ground.Directories(settings).make()


def test_what_was_there_before_or_has_something_in_it_stays(tmp_path: Path) -> None:
    root, run = tmp_path / "root", tmp_path / "run"
    root.mkdir(mode=0o700)
    settings = Settings(root=str(root), run=str(run))
    directories = ground.Directories(settings)
    directories.make()
    os.close(ground.take_lock(settings))
    (run / "forwarding").touch()
    directories.remove_unused()
    assert sorted(path.name for path in (*root.iterdir(), *run.iterdir())) == ["forwarding", "pysup.lock"]


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    directories = ground.Directories(Settings(root=str(tmp_path / "file"), run=str(tmp_path / "run")))
    with pytest.raises(ground.CannotStart, match=r"cannot start the daemon: .*/file: File exists"):
        directories.make()
