"""diff: docker's kinds, from the write layer alone; nothing of what pysup itself puts into a root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from helpers.images import Image, busybox, layer, oci_archive

pytestmark = pytest.mark.kernel

LOWER = layer(
    ("data/gone", {}, b"gone"), ("data/kept", {}, b"kept"), ("data/sub/a", {}, b"a"), ("etc/motd", {}, b""),
    ("link", {"type": b"2", "linkname": "data"}, b""), ("old/deep/g", {}, b"g"), ("old/file", {}, b"f"),
)  # fmt: skip
UPPER = layer(
    ("data/.wh.gone", {}, b""), ("data/later", {}, b"l"), ("old/.wh..wh..opq", {}, b""), ("old/one", {}, b"")
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("diff")) as started:
        config = {"Env": ["PATH=/bin"]}
        images = (
            Image([busybox(), LOWER], config, ["one:1"]),
            Image([busybox(), LOWER, UPPER], config, ["two:1"]),
        )
        started.pysup("load", stdin=oci_archive(*images), check=True)
        yield started


def diff(daemon: Daemon, image: str, script: str, *flags: str) -> list[str]:
    words = ["run", "--name", "box", *flags, image, "sh", "-c", script]
    daemon.pysup(*words, check=True)
    found, shown = daemon.docker("diff", "box"), daemon.pysup("diff", "box", check=True)
    daemon.pysup("rm", "-v", "box", check=True)
    assert (found.returncode, found.stdout) == (0, shown.stdout), found.stderr
    return found.stdout.splitlines()


def test_every_kind_as_docker_tells_it(daemon: Daemon) -> None:
    """The same script in a container of docker 20.10 gives these lines, in its own order."""
    script = """rm /data/gone; rm -r /old; mkdir /old; echo x>/old/new; echo y>/old/file; chmod 700 /data/sub
    echo z>>/data/kept; mkdir -p /a/b; echo q>/a/b/c; ln -s x /a/l; mv /link /link2; touch /etc/mine; rm /bin/true"""
    assert diff(daemon, "one:1", script, "-v", "/vol/new") == [
        "A /a", "A /a/b", "A /a/b/c", "A /a/l", "C /bin", "D /bin/true", "C /data", "D /data/gone", "C /data/kept",
        "C /data/sub", "C /etc", "A /etc/mine", "D /link", "A /link2", "C /old", "D /old/deep", "C /old/file",
        "A /old/new", "A /vol", "A /vol/new",
    ]  # fmt: skip


def test_layers_below_are_one_tree(daemon: Daemon) -> None:
    script = "touch /data/gone; rm /data/later; mkdir /old/deep; touch /old/file; rm /old/one; rm -r /link; mkdir /link"
    assert diff(daemon, "two:1", script) == [
        "C /data", "A /data/gone", "D /data/later", "C /link", "C /old", "A /old/deep", "A /old/file", "D /old/one",
    ]  # fmt: skip


def test_a_file_in_the_place_of_a_directory(daemon: Daemon) -> None:
    assert diff(daemon, "one:1", "rm -r /old; touch /old") == ["C /old", "D /old/deep", "D /old/file"]


def test_what_only_looks_changed_is_no_change(daemon: Daemon) -> None:
    script = ": >> /data/kept; touch /data/new; rm /data/new; chmod 700 /data/sub; chmod 755 /data/sub; cat /etc/hosts"
    assert diff(daemon, "one:1", script) == []


def test_a_container_that_did_nothing(daemon: Daemon) -> None:
    assert diff(daemon, "one:1", "true") == []
    daemon.pysup("create", "--name", "box", "one:1", "true", check=True)
    assert daemon.docker("diff", "box").stdout == ""
    daemon.pysup("rm", "box", check=True)


def test_owners_of_user_namespaces_are_no_change(daemon: Daemon) -> None:
    script = "echo x > /mine"
    assert diff(daemon, "one:1", script, "--uidmap", "0:100000:65536") == ["A /mine"]


def test_the_machines_root(daemon: Daemon, tmp_path: Path) -> None:
    script = "echo x > /etc/of-container; rm /etc/passwd; echo y > /tmp/nowhere"
    assert diff(daemon, "host", script) == ["C /etc", "A /etc/of-container", "D /etc/passwd"]
