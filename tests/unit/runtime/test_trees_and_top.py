"""Removing what a container left, and the rows of ps."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

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


def test_a_tree_deeper_than_a_path_can_be(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    fd = os.open(tree, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    trees.remove(str(tree))
    assert not tree.exists()


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
    rootfs.create(str(directory), spec)
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
