"""What a daemon without root finds out: a cgroup that was given to it, the host image's pieces, processes by mounts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pysup.supervisor import rootless
from pysup.supervisor.errors import Conflict, Unavailable
from pysup.supervisor.kernel import own_ids
from pysup.supervisor.kernel.searching import processes_of
from pysup.supervisor.runtime.cgroups.detection import delegated
from pysup.supervisor.runtime.cgroups.none import NoCgroups
from pysup.supervisor.runtime.host_pieces import pieces
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.resources import Resources


@pytest.fixture
def hierarchy(tmp_path: Path) -> Path:
    """A directory in the form of cgroup2: a unit's cgroup with one process in it."""
    unit = tmp_path / "user/unit"
    unit.mkdir(parents=True)
    (unit / "cgroup.procs").write_text("7\n")
    return tmp_path


@pytest.mark.parametrize("own", ["0::/user/unit\n", "5:memory:/x\n0::/user/unit/pysup-daemon\n"])
def test_a_cgroup_that_was_given_away_is_used_from_its_top(hierarchy: Path, own: str) -> None:
    assert delegated(str(hierarchy), own) == f"{hierarchy}/user/unit"
    assert (hierarchy / "user/unit/pysup-daemon").is_dir()


@pytest.mark.parametrize("own", ["", "5:memory:/x\n", "0::/user\n", "0::/nothing/there\n"])
def test_no_cgroup_of_ones_own(hierarchy: Path, own: str) -> None:
    assert delegated(str(hierarchy), own) == delegated("", "0::/user/unit\n") == ""


def test_the_host_image_in_pieces(tmp_path: Path) -> None:
    """A directory with a mount below it is split, and what lies beside the mount is a copy."""
    top, skeleton = tmp_path / "top", tmp_path / "skeleton"
    for path in ("usr/bin", "var/lib/mounted", "var/log", "proc", "state"):
        (top / path).mkdir(parents=True)
    (top / "bin").symlink_to("usr/bin")
    (top / "var/small").write_text("text")
    (top / "var/big").write_bytes(bytes((1 << 20) + 1))
    os.mkfifo(top / "var/fifo")
    (skeleton / str(top)[1:]).mkdir(parents=True)
    left_out = [f"{top}/proc", f"{top}/state"]
    for _again in range(2):
        found = list(pieces(str(top), ["/", f"{top}/var/lib/mounted"], left_out, str(skeleton)))
        assert found == [f"{top}/usr", f"{top}/var/lib/mounted", f"{top}/var/log"]
    shown = skeleton / str(top)[1:]
    assert sorted(str(path.relative_to(shown)) for path in shown.rglob("*")) == [
        "bin", "proc", "state", "usr", "var", "var/lib", "var/lib/mounted", "var/log", "var/small"
    ]  # fmt: skip
    assert (shown / "bin").readlink() == Path("usr/bin")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
@pytest.mark.parametrize("directory", ["plain", "with spaces and\ttabs"])
def test_processes_are_found_by_what_is_mounted_where_they_are(tmp_path: Path, directory: str) -> None:
    root = tmp_path / directory
    (root / "containers/x").mkdir(parents=True)
    script = 'mount -t tmpfs none "$0/containers/x"; echo; exec sleep 60'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as inside:
        assert inside.stdout is not None
        inside.stdout.readline()
        assert processes_of(f"{root}/containers/") == [inside.pid]
        assert processes_of(f"{root}/other/") == []
        inside.kill()


async def test_without_cgroups_every_limit_is_refused_by_name() -> None:
    none = NoCgroups()
    none.check(Resources())
    for resources, named in (
        (Resources(memory=1 << 20), "memory"),
        (Resources(cpu_quota=1000), "CPU time"),
        (Resources(pids=5), "the number of processes"),
        (Resources(blkio_weight=100), "block I/O"),
    ):
        with pytest.raises(Unavailable, match=f"cannot limit {named}: .* without a cgroup of its own"):
            none.create("pysup", "0" * 64, resources)
    cgroup = none.open("pysup", "0" * 64)
    assert (cgroup.processes(), cgroup.usage().pids, cgroup.views) == ([], 0, ())
    with pytest.raises(Conflict, match="cannot pause"):
        await cgroup.freeze()
    await cgroup.kill(9)
    await cgroup.remove()


def test_the_machines_root_has_every_id() -> None:
    if not own_ids.is_rootless():
        assert own_ids.count() == 0xFFFFFFFF and own_ids.has(5, "gid")
    assert own_ids.has(os.getuid())


def test_what_may_not_be_ended_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier daemon's containers are killed until they are gone; another user's process stays."""
    killed: list[int] = []

    def kill(pid: int, _signal: int) -> None:
        if pid == 7:
            raise PermissionError
        killed.append(pid)

    monkeypatch.setattr(rootless, "processes_of", lambda _path: [7, 8] if len(killed) < 2 else [7])
    monkeypatch.setattr(os, "kill", kill)
    settings = Settings()._replace(run=str(tmp_path), root=str(tmp_path))
    Path(settings.lock).touch()
    rootless._end_leftovers(settings)
    assert killed == [8, 8]
