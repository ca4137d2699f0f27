"""Which of the machine's mounts the host image shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.runtime.filesystems import Mount, parse, shown

STATE = ("/var/lib/pysup", "/run/pysup")
ROOT = "20 1 8:1 / / rw - ext4 /dev/a rw"


def points(*lines: str, state: tuple[str, ...] = STATE) -> list[str]:
    return [mount.point for mount in shown(parse("\n".join((ROOT, *lines))), state)]


def test_a_line_of_mountinfo() -> None:
    line = r"36 35 98:0 /sub\040dir /mnt\134x rw,nosuid master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue"
    fields = ("master:1", "propagate_from:2")
    assert parse(line) == [Mount(36, 35, "98:0", "/sub dir", r"/mnt\x", "rw,nosuid", "ext3", fields)]


@pytest.mark.parametrize("odd", ["a\rb", "a\vb", "a\u2028b", "a\x85b", "a\udcffb"])
def test_a_name_may_hold_what_looks_like_the_end_of_a_line(odd: str) -> None:
    assert points(f"21 20 8:2 / /mnt/{odd} rw - ext4 /dev/b rw") == [f"/mnt/{odd}"]


def test_local_disks_are_shown_parents_first() -> None:
    lines = [
        "21 20 8:2 / /var rw shared:1 - xfs /dev/b rw",
        "22 21 8:3 / /var/lib rw - btrfs /dev/c rw",
        "23 20 8:1 /srv/home /home rw - ext4 /dev/a rw",
    ]
    found = points(*lines)
    assert sorted(found) == ["/home", "/var", "/var/lib"]
    assert found.index("/var") < found.index("/var/lib")


@pytest.mark.parametrize(
    "line",
    [
        "21 20 0:5 / /data rw - nfs4 server:/x rw",
        "21 20 0:5 / /data rw - fuse.sshfs server:/x rw",
        "21 20 0:5 / /data rw - tmpfs tmpfs rw",
        "21 20 0:5 / /data rw - overlay overlay rw",
        "21 20 0:5 / /proc rw - proc proc rw",
        "21 20 8:2 / /tmp rw - ext4 /dev/b rw",
        "21 20 8:2 / /run/media/x rw - ext4 /dev/b rw",
        "21 20 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro",
        "21 20 8:2 / /var/lib/docker rw - ext4 /dev/b rw",
        "21 20 8:2 / /var/lib/pysup rw - ext4 /dev/b rw",
        "21 20 8:2 / /var/lib/pysup/images rw - ext4 /dev/b rw",
        "21 99 8:2 / /elsewhere rw - ext4 /dev/b rw",
    ],
)
def test_what_is_not_shown(line: str) -> None:
    assert points(line) == []


def test_what_another_mount_covers_is_not_there() -> None:
    lines = [
        "21 20 8:2 / /home rw - ext4 /dev/b rw",
        "22 21 8:3 / /home/a rw - ext4 /dev/c rw",
        "23 21 8:4 / /home rw - ext4 /dev/d rw",
        "24 23 8:5 / /home/b rw - ext4 /dev/e rw",
        "25 20 0:9 / /net rw - nfs server:/ rw",
    ]
    assert points(*lines) == ["/home", "/home/b"]


@pytest.mark.parametrize(
    ("root", "point", "visible"),
    [
        ("/", "/again", False),
        ("/var", "/again", False),
        ("/var/lib/pysup", "/again", False),
        ("/var/lib/pysup/images", "/again", False),
        ("/var/lib", "/var/lib", True),
        ("/var/lib/pysup2", "/again", True),
        ("/home", "/again", True),
    ],
)
def test_the_state_has_no_second_place(root: str, point: str, visible: bool) -> None:
    """A bind mount of part of the root file system: it may hold the state, or be a part of it."""
    assert points(f"21 20 8:1 {root} {point} rw - ext4 /dev/a rw") == ([point] if visible else [])


def test_the_state_on_a_disk_of_its_own() -> None:
    lines = ["21 20 8:2 / /var rw - ext4 /dev/b rw", "22 20 8:2 /lib/pysup /again rw - ext4 /dev/b rw"]
    assert points(*lines) == ["/var"]


mounts = st.builds(
    Mount,
    id=st.integers(1, 9),
    parent=st.integers(0, 9),
    device=st.sampled_from(["8:1", "8:2"]),
    root=st.sampled_from(["/", "/a", "/a/b"]),
    point=st.sampled_from(["/", "/a", "/a/b", "/state", "/state/x"]),
    options=st.just("rw"),
    fstype=st.sampled_from(["ext4", "nfs"]),
)


@given(st.lists(mounts, unique_by=lambda mount: mount.id))
def test_any_table_has_an_end(found: list[Mount]) -> None:
    for mount in shown(found, ("/state",)):
        assert mount.fstype == "ext4"
        assert not mount.point.startswith("/state")
