"""What an image says of itself is what its containers get; and images of many layers, of strange ones, of none."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from helpers.images import DIRECTORY, Image, busybox, layer, oci_archive

pytestmark = pytest.mark.kernel

BASE = busybox()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("configs")) as started:
        yield started


def load(daemon: Daemon, *images: Image) -> None:
    daemon.pysup("load", stdin=oci_archive(*images), check=True)


def run(daemon: Daemon, *words: str) -> str:
    return daemon.pysup("run", "--rm", *words, check=True).stdout


def test_every_field_is_honoured(daemon: Daemon) -> None:
    config = {
        "User": "12:34",
        "Env": ["PATH=/bin", "FROM=image", "KEPT=yes"],
        "Entrypoint": ["sh", "-c"],
        "Cmd": ["echo $FROM $KEPT; id -u; id -g; pwd"],
        "WorkingDir": "/work/dir",
        "StopSignal": "SIGINT",
        "Labels": {"a": "image", "b": "image"},
        "ExposedPorts": {"80/tcp": {}},
        "Shell": ["/bin/sh", "-c"],
        "OnBuild": ["RUN true"],
    }
    load(daemon, Image([BASE], config, ["full:1"]))
    assert run(daemon, "full:1").split() == ["image", "yes", "12", "34", "/work/dir"]
    assert run(daemon, "-e", "FROM=me", "-u", "0", "-w", "/", "full:1").split() == [
        "me",
        "yes",
        "0",
        "0",
        "/",
    ]
    assert run(daemon, "--entrypoint", "echo", "full:1", "-n", "x") == "x", (
        "its command goes with its entrypoint"
    )
    daemon.pysup("create", "--name", "shown", "-l", "b=mine", "full:1", check=True)
    shown = json.loads(daemon.docker("inspect", "shown").stdout)[0]["Config"]
    daemon.pysup("rm", "shown", check=True)
    assert shown["Labels"] == {"a": "image", "b": "mine"}
    assert (shown["StopSignal"], shown["ExposedPorts"]) == ("SIGINT", {"80/tcp": {}})
    of_image = json.loads(daemon.docker("image", "inspect", "full:1").stdout)[0]["Config"]
    assert {key: of_image[key] for key in config} == config


def test_users_are_looked_up_in_the_image(daemon: Daemon) -> None:
    files = layer(
        ("etc/passwd", {}, b"me:x:77:88::/home/me:/bin/sh\n"),
        ("etc/group", {}, b"mine:x:88:\nmore:x:99:me\n"),
    )
    load(daemon, Image([BASE, files], {"User": "me", "Cmd": ["id"], "Env": ["PATH=/bin"]}, ["user:1"]))
    assert run(daemon, "user:1") == "uid=77(me) gid=88(mine) groups=88(mine),99(more)\n"


def test_whiteouts_opaque_directories_and_replaced_kinds(daemon: Daemon) -> None:
    lower = layer(
        ("gone", {}, b""),
        ("dir/old", {}, b""),
        ("dir/kept", {}, b""),
        ("opaque/old", {}, b""),
        ("kind/x", {}, b""),
    )
    upper = layer(
        (".wh.gone", {}, b""),
        ("dir/.wh.old", {}, b""),
        ("opaque", DIRECTORY, b""),
        ("opaque/new", {}, b""),
        ("opaque/.wh..wh..opq", {}, b""),
        ("kind", {}, b"a file"),
    )
    load(
        daemon,
        Image([BASE, lower, upper], {"Cmd": ["find", "/dir", "/opaque", "/kind", "/gone"]}, ["white:1"]),
    )
    done = daemon.pysup("run", "--rm", "white:1")
    assert sorted(done.stdout.split()) == ["/dir", "/dir/kept", "/kind", "/opaque", "/opaque/new"]
    assert "/gone: No such file" in done.stderr
    mapped = daemon.pysup(
        "run", "--rm", "--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536", "white:1"
    )
    assert (sorted(mapped.stdout.split()), mapped.stderr) == (sorted(done.stdout.split()), done.stderr)


@pytest.mark.parametrize("count", [127, 300, 490])
def test_many_layers(daemon: Daemon, count: int) -> None:
    layers = [
        layer((f"n/{number}", {}, b""), ("last", {}, str(number).encode())) for number in range(count - 1)
    ]
    load(daemon, Image([BASE, *layers], {}, [f"many:{count}"]))
    assert run(daemon, f"many:{count}", "sh", "-c", "ls /n | wc -l; cat /last").split() == [
        str(count - 1),
        str(count - 2),
    ]
    mapped = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"]
    assert run(daemon, *mapped, f"many:{count}", "cat", "/last") == str(count - 2)


def test_more_layers_than_overlayfs_stacks(daemon: Daemon) -> None:
    refused = daemon.pysup(
        "load", stdin=oci_archive(Image([BASE, *[layer(("f", {}, b""))] * 500], {}, ["most:1"]))
    )
    assert refused.returncode == 1 and "501 layers, more than 500" in refused.stderr


def test_the_same_layer_twice(daemon: Daemon) -> None:
    first, second = layer(("f", {}, b"first")), layer(("f", {}, b"second"))
    load(daemon, Image([BASE, first, second, first, layer(("g", {}, b"")), second, first], {}, ["twice:1"]))
    assert run(daemon, "twice:1", "cat", "/f") == "first"


def test_an_opaque_root_shows_nothing_of_what_lies_below(daemon: Daemon) -> None:
    load(daemon, Image([layer(("below", {}, b"")), layer((".wh..wh..opq", {}, b"")), BASE], {}, ["opaque:1"]))
    assert "below" not in run(daemon, "opaque:1", "ls", "/").split()


def test_file_capabilities_work(daemon: Daemon) -> None:
    capability = (b"\x01\0\0\x02" + (1 << 13).to_bytes(4, "little") + bytes(12)).decode()
    busy = layer(
        (
            "bin/cap",
            {"mode": 0o755, "pax_headers": {"SCHILY.xattr.security.capability": capability}},
            b"x" * 10,
        )
    )
    load(daemon, Image([BASE, busy], {}, ["cap:1"]))
    (directory,) = [path for path in (daemon.root / "images/layers").iterdir() if (path / "bin/cap").exists()]
    assert os.getxattr(directory / "bin/cap", "security.capability").hex() == capability.encode().hex()


def test_an_image_of_another_architecture_loads_and_says_what_it_is(daemon: Daemon) -> None:
    load(
        daemon,
        Image(
            [layer(("x", {"mode": 0o755}, b"\x7fELF"))], {"Cmd": ["/x"]}, ["other:1"], architecture="s390x"
        ),
    )
    assert json.loads(daemon.docker("inspect", "other:1").stdout)[0]["Architecture"] == "s390x"
    done = daemon.docker("run", "--rm", "other:1")
    assert "exec format error" in done.stderr.lower()
    assert "platform (linux/s390x) does not match" in done.stderr


def test_an_image_without_layers(daemon: Daemon) -> None:
    load(daemon, Image([], {"Cmd": ["/none"]}, ["empty:1"]))
    assert daemon.docker("run", "--rm", "empty:1").stderr.count("exec /none: no such file") == 1


def test_files_of_layers_are_hidden_from_users_of_the_host(daemon: Daemon) -> None:
    load(daemon, Image([BASE], {}, ["hidden:1"]))
    words = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "ls",
        str(daemon.root / "images/layers"),
    ]
    assert subprocess.run(words, capture_output=True, check=False).returncode != 0
    assert Path(daemon.root / "images").stat().st_mode & 0o777 == 0o700
