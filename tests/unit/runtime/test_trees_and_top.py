"""Removing what a container left, and the rows of ps."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest

from pysup.supervisor.descent import DIRECTORY, Descent
from pysup.supervisor.engine.containers.sizes import tree_sizes
from pysup.supervisor.errors import BadRequest
from pysup.supervisor.runtime import machine, processes, rootfs, trees
from pysup.supervisor.spec.container import ContainerSpec, Namespaces, Process, Rootfs
from pysup.supervisor.spec.id_maps import IdMap


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    kept, tree = tmp_path / "kept", tmp_path / "tree"
    kept.mkdir()
    (kept / "file").touch()
    tree.mkdir()
    (tree / "link").symlink_to(kept)
    (tree / "odd\n\udcff -rf").touch()
    os.mkfifo(tree / "fifo")
    trees.remove(str(tree))
    assert not tree.exists()
    assert (kept / "file").exists()
    trees.remove(str(tree))


DEEP = 6000


def deepen(tree: Path) -> None:
    """With a file and a second directory on each level, as deep as one likes."""
    tree.mkdir()
    fd = os.open(tree, os.O_RDONLY)
    for _ in range(DEEP):
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        for name in ("d", "other"):
            os.mkdir(name, dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)


def test_a_tree_deeper_than_a_path_can_be(tmp_path: Path) -> None:
    """It can be counted and removed, with few descriptors."""
    tree = tmp_path / "tree"
    deepen(tree)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 40, hard))
    try:
        blocks = (tree / "d").stat().st_blocks
        assert tree_sizes([str(tree)]) == 2 * DEEP * blocks * 512
        trees.remove(str(tree))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not tree.exists()


def test_what_is_moved_while_it_is_counted(tmp_path: Path) -> None:
    """The way back leads nowhere else."""
    descent = Descent()
    (tmp_path / "top" / "/".join("d" * 40)).mkdir(parents=True)
    (tmp_path / "away").mkdir()
    descent.enter(os.open(tmp_path / "top", DIRECTORY))
    for _ in range(40):
        descent.enter(os.open("d", DIRECTORY, dir_fd=descent.levels[-1].fd), "d")
    (tmp_path / "top/d/d").rename(tmp_path / "away/d")
    while len(descent.levels) > 3:
        assert descent.leave().fd == -1 and descent.levels[-1].fd >= 0
    descent.leave()
    assert [level.fd for level in descent.levels] == [-1, -1]
    descent.close()


@pytest.mark.kernel
def test_immutable_files(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "file").touch()
    subprocess.run(["chattr", "+i", tree / "inner" / "file"], check=True)
    subprocess.run(["chattr", "+a", tree / "inner"], check=True)
    trees.remove(str(tree))
    assert not tree.exists()


@pytest.mark.kernel
def test_write_layer_of_a_mapped_root(tmp_path: Path) -> None:
    maps = (IdMap(0, 100000, 65536),)
    spec = ContainerSpec(
        hostname="box", process=Process(("true",)), rootfs=Rootfs(("/",)),
        namespaces=Namespaces(user="private", uid_maps=maps, gid_maps=maps),
    )  # fmt: skip
    directory = tmp_path / "c"
    rootfs.make(str(directory))
    rootfs.furnish(str(directory), spec)
    assert (directory / "etc" / "hostname").read_text() == "box\n"
    assert (directory / "upper").stat().st_uid == 100000
    (directory / "logs").mkdir()
    for path in rootfs.parts(str(directory)):
        trees.remove(path)
    assert os.listdir(directory) == ["logs"]


def test_servers_on_the_host_s_loopback_are_left_out() -> None:
    text = "nameserver 127.0.0.53\nnameserver 9.9.9.9\nsearch example.org\nnameserver ::1\n"
    assert rootfs.without_local_servers(text) == "nameserver 9.9.9.9\nsearch example.org\n"


def test_rows_of_ps() -> None:
    output = "UID PID CMD\nroot 1 init\nroot 7 sh -c  x\nroot - thread\nroot 9 other\nroot - not ours\n"
    found = processes.select(output, {7})
    assert found == (["UID", "PID", "CMD"], [["root", "7", "sh -c  x"], ["root", "-", "thread"]])
    with pytest.raises(BadRequest, match="PID column"):
        processes.select("CMD\nx\n", {7})


async def test_top_of_this_process() -> None:
    for args in ("", "-o pid,comm", "aux"):
        titles, rows = await processes.list_processes([os.getpid()], args)
        assert [row[titles.index("PID")] for row in rows] == [str(os.getpid())]
    assert processes.from_proc([os.getpid()]).rows[0][1:3] == [str(os.getpid()), str(os.getppid())]
    for args in ("-o pid=X", "--no-such-option", "-o 'x", "-o pid\0"):
        with pytest.raises(BadRequest):
            await processes.list_processes([1], args)


def test_what_hides_parts_of_sysfs() -> None:
    assert machine.shows_all_of_sysfs(["/", "/sys", "/sys/fs/cgroup", "/sys/fs/cgroup/cpu"])
    assert not machine.shows_all_of_sysfs(["/", "/sys", "/sys/firmware"])
    assert not machine.shows_all_of_sysfs(["/"])
