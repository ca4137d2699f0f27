"""Volumes and what images have in their place, on a real daemon; and a daemon that is killed in between."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from helpers.images import DIRECTORY, Image, Member, busybox, layer, oci_archive
from helpers.mortal import Mortal, until

pytestmark = pytest.mark.kernel

BASE = busybox()
LINK = {"type": tarfile.SYMTYPE}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("copyup")) as started:
        yield started


def load(daemon: Daemon, name: str, *layers: bytes, **config: object) -> str:
    daemon.pysup("load", stdin=oci_archive(Image([BASE, *layers], config, [name])), check=True)
    return name


def run(daemon: Daemon, *words: str) -> str:
    return daemon.pysup("run", "--rm", *words, check=True).stdout


def content(daemon: Daemon, volume: str) -> list[str]:
    """The names in a volume on the host."""
    data = daemon.root / "volumes" / volume / "_data"
    return sorted(str(path.relative_to(data)) for path in data.rglob("*"))


FILES = (
    ("data", {**DIRECTORY, "mode": 0o2750, "uid": 33, "gid": 44}, b""),
    ("data/kept", {"mode": 0o4755, "uid": 7}, b"from the image"),
    ("data/gone", {}, b"x"),
    ("data/dir", DIRECTORY, b""),
    ("data/dir/old", {}, b"x"),
)
LATER = (
    FILES[0],
    ("data/.wh.gone", {}, b""),
    ("data/dir/.wh..wh..opq", {}, b""),
    ("data/dir/new", {}, b"x"),
)


def test_layers_are_copied_as_they_are_shown(daemon: Daemon) -> None:
    image = load(daemon, "layers:1", layer(*FILES), layer(*LATER))
    shown = run(
        daemon, "-v", "one:/data", image, "sh", "-c", "cd /data; find . | cat; stat -c '%u %g %a' . kept"
    )
    assert sorted(shown.splitlines()) == sorted(
        [".", "./dir", "./dir/new", "./kept", "33 44 2750", "7 0 4755"]
    )
    assert content(daemon, "one") == ["dir", "dir/new", "kept"]
    run(daemon, "-v", "one:/data", image, "sh", "-c", "echo mine > /data/kept")
    assert run(daemon, "-v", "one:/data", image, "cat", "/data/kept") == "mine\n", (
        "only an empty one is filled"
    )


def test_it_is_there_before_the_container_is_started(daemon: Daemon) -> None:
    image = load(daemon, "created:1", layer(*FILES))
    daemon.pysup("create", "--name", "holder", "-v", "early:/data", image, "true", check=True)
    assert "kept" in content(daemon, "early")
    daemon.pysup("rm", "holder", check=True)


def test_nocopy_leaves_it_empty(daemon: Daemon) -> None:
    image = load(daemon, "nocopy:1", layer(*FILES))
    assert run(daemon, "-v", "n1:/data:nocopy", image, "ls", "/data") == ""
    assert run(daemon, "--mount", "source=n2,target=/data,volume-nocopy", image, "ls", "/data") == ""


def test_a_directory_of_the_host_that_is_empty_is_filled(daemon: Daemon, tmp_path: Path) -> None:
    """docker's way to see what an image has: the driver's options type=none, o=bind and device."""
    image = load(daemon, "device:1", layer(*FILES))
    place = tmp_path / "place"
    place.mkdir()
    for name, mode in (("bound", "bind"), ("bound-ro", "bind,ro")):
        words = ["-o", "type=none", "-o", f"o={mode}", "-o", f"device={place}", name]
        daemon.pysup("volume", "create", *words, check=True)
    assert run(daemon, "-v", "bound-ro:/data", image, "ls", "/data") == ""
    assert run(daemon, "-v", "bound:/data:nocopy", image, "ls", "/data") == ""
    assert run(daemon, "-v", "bound:/data", image, "cat", "/data/kept") == "from the image"
    assert sorted(os.listdir(place)) == ["dir", "gone", "kept"]
    sub = ["--mount", "source=bound,target=/shown,volume-subpath=dir"]
    assert run(daemon, *sub, image, "ls", "/shown") == "old\n"
    (place / "kept").unlink()
    assert run(daemon, "-v", "bound:/data", image, "ls", "/data") == "dir\ngone\n", "only an empty one"
    shutil.rmtree(place)
    missing = daemon.pysup("run", "--rm", "-v", "bound:/data", image, "true")
    assert missing.returncode == 125 and f"{place}: No such file or directory" in missing.stderr
    daemon.pysup("volume", "rm", "bound", "bound-ro", check=True)


def test_an_image_declares_volumes(daemon: Daemon) -> None:
    image = load(daemon, "declares:1", layer(*FILES), Volumes={"/data": {}, "/empty": {}})
    assert run(daemon, image, "cat", "/data/kept") == "from the image"
    daemon.pysup("run", "--name", "db", image, "sh", "-c", "echo row > /data/table", check=True)
    mounts = daemon.inspect("db")["Mounts"]
    assert isinstance(mounts, list)
    assert [mount["Destination"] for mount in mounts] == ["/data", "/empty"]
    assert (
        run(daemon, "--volumes-from", "db", image, "cat", "/data/table", "/data/kept")
        == "row\nfrom the image"
    )
    daemon.pysup("rm", "-v", "db", check=True)
    assert not [name for name in daemon.docker("volume", "ls", "-q").stdout.split() if len(name) == 64]


def test_a_volume_holds_the_ids_of_the_container_whatever_they_are_on_the_host(daemon: Daemon) -> None:
    image = load(daemon, "mapped:1", layer(("data", {**DIRECTORY, "uid": 33, "gid": 44}, b"")))
    words = ("--uidmap", "0:100000:65536", "-v", "mapped:/data", image, "stat", "-c", "%u %g", "/data")
    assert run(daemon, *words) == "33 44\n"
    assert (daemon.root / "volumes" / "mapped" / "_data").stat().st_uid == 33
    others = ("--uidmap", "0:300000:65536", "-v", "mapped:/data:ro", image, "stat", "-c", "%u %g", "/data")
    assert run(daemon, *others) == "33 44\n"


HOSTILE: tuple[Member, ...] = (
    ("toroot", {**LINK, "linkname": "/"}, b""),
    ("up", {**LINK, "linkname": "../../../../../../etc"}, b""),
    ("absolute", {**LINK, "linkname": "/var/lib"}, b""),
    ("etc", DIRECTORY, b""),
    ("etc/mine", {}, b"the image's"),
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/toroot", []),
        ("/up", ["mine"]),
        ("/absolute", []),
        ("/toroot/toroot/etc", ["mine"]),
    ],
)
def test_links_of_an_image_lead_to_nothing_of_the_host(daemon: Daemon, path: str, found: list[str]) -> None:
    image = load(daemon, "hostile:1", layer(*HOSTILE))
    volume = "v" + path.replace("/", "-")
    daemon.pysup("create", "--name", "hostile", "-v", f"{volume}:{path}", image, "true", check=True)
    daemon.pysup("rm", "hostile", check=True)
    assert content(daemon, volume) == found


def test_an_image_cannot_name_a_volume_of_the_hosts(daemon: Daemon) -> None:
    """CVE-2022-23648: a volume of an image is a path in it, whatever dots and links it is made of."""
    image = load(
        daemon, "declared:1", layer(*HOSTILE), Volumes={"/up/../../../../etc": {}, "/toroot/../x": {}}
    )
    shown = run(daemon, image, "sh", "-c", "cd /etc && find . -type f; echo $?")
    assert "./mine" in shown.splitlines()


def test_a_target_that_is_a_link_stays_in_the_container(daemon: Daemon, tmp_path: Path) -> None:
    """In a volume, too: who fills it cannot have a later mount of it, or in it, land on the host."""
    image = load(daemon, "hostile:2", layer(*HOSTILE))
    victim = tmp_path / "victim"
    victim.mkdir()
    run(
        daemon,
        "-v",
        "trap:/v",
        image,
        "sh",
        "-c",
        f"cd /v; busybox ln -s {victim} inside; busybox ln -s / root",
    )
    words = ("-v", "trap:/v", "--tmpfs", "/v/inside/deep", "-v", "other:/v/root/made", image)
    run(daemon, *words, "sh", "-c", f"echo x > {victim}/deep/file; echo x > /made/file")
    assert list(victim.iterdir()) == []
    assert content(daemon, "other") == ["file"]


@pytest.mark.parametrize("subpath", ["up", "toroot", "up/mine", "dir/../dir"])
def test_a_subpath_stays_in_the_volume(daemon: Daemon, subpath: str) -> None:
    image = load(daemon, "hostile:3", layer(*HOSTILE))
    lines = (
        "[ -e /v/etc ] && exit; cd /v; busybox mkdir -p etc dir; echo own > etc/mine;"
        "busybox ln -s ../../../../etc up; busybox ln -s / toroot"
    )
    run(daemon, "-v", "sub:/v", image, "sh", "-c", lines)
    mount = f"type=volume,source=sub,target=/shown,volume-subpath={subpath}"
    done = daemon.pysup("run", "--rm", "--mount", mount, image, "find", "/shown")
    if ".." in subpath:
        assert "must be a relative path inside the volume" in done.stderr
    else:
        inside = {"up": "/shown/mine", "toroot": "/shown/etc/mine", "up/mine": "/shown"}
        assert inside[subpath] in done.stdout.splitlines()
        assert "passwd" not in done.stdout


def test_a_killed_engine_leaves_nothing_half(tmp_path: Path) -> None:
    many: list[Member] = [("data", DIRECTORY, b"")]
    many += [(f"data/{number}", {}, b"x" * 1000) for number in range(3000)]
    with Mortal(tmp_path, apart=True) as daemon:
        image = load(daemon, "many:1", layer(*many))
        volume = daemon.root / "volumes" / "half"
        asking = subprocess.Popen(
            daemon.command("create", "-v", "half:/data", image, "true"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until((volume / "_new").exists, "it is being copied")
        daemon.kill("engine")
        asking.wait()
        daemon.wait_until_it_serves()
        assert len(content(daemon, "half")) in (0, 3000)
        assert [path.name for path in volume.iterdir()] == ["_data"]
        assert run(daemon, "-v", "half:/data", image, "sh", "-c", "ls /data").count("\n") == 3000
