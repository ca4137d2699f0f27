"""load and save: archives as others write them, and archives that others read. The others are docker and skopeo."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from helpers.daemon import Daemon
from helpers.images import Image, blob, busybox, descriptor, docker_archive, encode, layer, oci_archive
from helpers.storage import stored

from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.documents import OCI_INDEX, OCI_MANIFEST

pytestmark = pytest.mark.kernel

BASE = busybox()


@pytest.fixture
def daemon(shared: Daemon) -> Iterator[Daemon]:
    """A daemon whose images are gone after the test, and everything with them."""
    yield shared
    listed = json_lines(shared.docker("images", "-a", "--format", "json").stdout)
    for one in {one["ID"] for one in listed if one["Repository"] != "host"}:
        assert shared.docker("rmi", "-f", one).stderr == ""
    assert stored(shared.root) == []


def json_lines(text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in text.splitlines()]


def image(name: str = "local/a:1", *, text: str = "hello", compressed: bool = True) -> Image:
    return Image(
        [BASE, layer(("file", {}, text.encode()))], {"Cmd": ["cat", "/file"]}, [name], compressed=compressed
    )


def skopeo(*arguments: object) -> str:
    words = ["skopeo", "--insecure-policy", *map(str, arguments)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("pack", [oci_archive, docker_archive])
@pytest.mark.parametrize("compressed", [True, False])
def test_an_archive_of_each_form_loads_and_runs(
    daemon: Daemon, pack: Callable[[Image], bytes], compressed: bool
) -> None:
    archive = pack(image(compressed=compressed))
    assert daemon.pysup("load", stdin=archive, check=True).stdout == "Loaded image: local/a:1\n"
    assert daemon.docker("run", "--rm", "local/a:1").stdout == "hello"
    assert (
        daemon.pysup("run", "--rm", "local/a:1", "ls", "/bin/busybox", check=True).stdout == "/bin/busybox\n"
    )
    assert daemon.pysup("load", stdin=archive, check=True).stdout == "Loaded image: local/a:1\n", "again"


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress, lzma.compress, bz2.compress])
def test_the_archive_itself_may_be_compressed(daemon: Daemon, compress: Callable[[bytes], bytes]) -> None:
    archive = compress(oci_archive(image(compressed=False)))
    assert daemon.pysup("load", stdin=archive, check=True).stdout == "Loaded image: local/a:1\n"


def test_docker_and_skopeo_read_what_pysup_saves(daemon: Daemon, tmp_path: Path) -> None:
    made = image()
    daemon.pysup("load", stdin=oci_archive(made), check=True)
    saved = tmp_path / "saved.tar"
    daemon.pysup("save", "-o", str(saved), "local/a:1", check=True)
    inspected = json.loads(skopeo("inspect", f"oci-archive:{saved}"))
    assert inspected["Digest"] == digest_of(made.manifest), "the manifest came and went as it was"
    skopeo("copy", f"docker-archive:{saved}:local/a:1", f"oci:{tmp_path}/a:1")
    skopeo("copy", f"docker-archive:{saved}", f"docker-archive:{tmp_path}/again.tar:local/b:2")
    daemon.docker("rmi", "local/a:1")
    assert "Loaded image: local/a:1" in daemon.docker("load", "-i", str(saved)).stdout
    assert (
        daemon.pysup("load", "-i", str(tmp_path / "again.tar"), check=True).stdout
        == "Loaded image: local/b:2\n"
    )
    assert daemon.docker("run", "--rm", "local/b:2").stdout == "hello"
    subprocess.run(["tar", "-C", tmp_path / "a", "-cf", tmp_path / "layout.tar", "."], check=True)
    loaded = daemon.pysup("load", "-i", str(tmp_path / "layout.tar"), check=True).stdout
    assert loaded.startswith("Loaded image ID: sha256:"), "a bare tag names nothing"


def test_blobs_are_saved_byte_by_byte(daemon: Daemon, tmp_path: Path) -> None:
    one, other = image(), image("local/b:1", text="other")
    daemon.pysup("load", stdin=oci_archive(one, other), check=True)
    saved = daemon.pysup(
        "save", "-o", str(tmp_path / "two.tar"), "local/a:1", "local/b:1", one.id, check=True
    )
    assert saved.stdout == ""
    with tarfile.open(tmp_path / "two.tar") as archive:
        names = archive.getnames()
        for content in (*one.blobs, *other.blobs, one.document, other.document, one.manifest, other.manifest):
            found = archive.extractfile(blob(content)[0])
            assert found is not None and found.read() == content
        listed = json.load(archive.extractfile("manifest.json") or None)  # type: ignore[arg-type]
    assert len(names) == len(set(names)), "what two images share is there once"
    assert [entry["RepoTags"] for entry in listed] == [["local/a:1"], ["local/b:1"]]
    streamed = subprocess.run(daemon.command("save", "local/a:1"), capture_output=True, check=True).stdout
    assert daemon.pysup("load", stdin=streamed, check=True).stdout == "Loaded image: local/a:1\n"


def test_names_from_every_place(daemon: Daemon) -> None:
    made = image()
    entry = descriptor(made.manifest, OCI_MANIFEST)
    names = {
        "io.containerd.image.name": "docker.io/library/whole:2",
        "org.opencontainers.image.ref.name": "2",
    }
    index = {"schemaVersion": 2, "manifests": [{**entry, "annotations": names}, entry]}
    loaded = daemon.pysup("load", stdin=oci_archive(made, index=index), check=True).stdout
    assert loaded == "Loaded image: whole:2\n"
    assert json.loads(daemon.docker("inspect", "whole:2").stdout)[0]["RepoTags"] == ["whole:2"]


def test_one_of_several_platforms(daemon: Daemon) -> None:
    mine, other = image(), Image([layer(("other", {}, b""))], architecture="s390x")
    platforms = [{"platform": {"os": "linux", "architecture": one.architecture}} for one in (mine, other)]
    pairs = zip((mine, other), platforms, strict=True)
    entries = [descriptor(one.manifest, OCI_MANIFEST, **platform) for one, platform in pairs]
    nested = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
    names = {"annotations": {"org.opencontainers.image.ref.name": "multi:1"}}
    index = {"schemaVersion": 2, "manifests": [descriptor(nested, OCI_INDEX, **names)]}
    archive = with_member(oci_archive(mine, other, index=index), blob(nested))
    assert daemon.pysup("load", stdin=archive, check=True).stdout == "Loaded image: multi:1\n"
    assert json.loads(daemon.docker("inspect", "multi:1").stdout)[0]["Id"] == mine.id
    daemon.pysup("load", "--platform", "linux/s390x", stdin=archive, check=True)
    assert json.loads(daemon.docker("inspect", "multi:1").stdout)[0]["Architecture"] == "s390x"
    refused = daemon.pysup("load", "--platform", "linux/riscv64", stdin=archive)
    assert "there is linux/amd64, linux/s390x" in refused.stderr and refused.returncode == 1
    assert "for linux/s390x, not linux/amd64" in daemon.pysup("save", "--platform", "amd64", "multi:1").stderr


def with_member(archive: bytes, member: tuple[str, object, bytes]) -> bytes:
    """One more file before the others."""
    head = layer((member[0], {}, member[2]))
    return head[: 512 + -(-len(member[2]) // 512) * 512] + archive


def test_several_names_and_links_of_older_archives(daemon: Daemon) -> None:
    made = image()
    config = made.id.removeprefix("sha256:") + ".json"
    listed = [{"Config": config, "RepoTags": ["a:1", "b:2"], "Layers": ["one/layer.tar", "two/layer.tar"]}]
    archive = layer(
        ("manifest.json", {}, encode(listed)),
        ("one/layer.tar", {"type": tarfile.SYMTYPE, "linkname": "../x/layer.tar"}, b""),
        (config, {}, made.document),
        ("x/layer.tar", {}, made.layers[0]),
        ("two/layer.tar", {}, made.layers[1]),
    )
    assert daemon.pysup("load", stdin=archive, check=True).stdout == "Loaded image: a:1\nLoaded image: b:2\n"
    assert daemon.docker("run", "--rm", "b:2").stdout == "hello"


def test_what_cannot_be_saved(daemon: Daemon, tmp_path: Path) -> None:
    target = tmp_path / "none.tar"
    for name, cause in (("host", "the machine's own root"), ("nothing:1", "No such image")):
        refused = daemon.pysup("save", "-o", str(target), name)
        assert refused.returncode == 1 and cause in refused.stderr
    assert os.listdir(tmp_path) == []


def test_an_import_is_saved_and_loaded_as_any_image(daemon: Daemon, tmp_path: Path) -> None:
    name = daemon.pysup(
        "import", "-c", "CMD cat /file", "-", "imported:1", stdin=layer(("file", {}, b"x")), check=True
    )
    daemon.pysup("save", "-o", str(tmp_path / "i.tar"), "imported:1", check=True)
    daemon.pysup("rmi", "imported:1", check=True)
    assert (
        daemon.pysup("load", "-i", str(tmp_path / "i.tar"), check=True).stdout == "Loaded image: imported:1\n"
    )
    assert daemon.pysup("inspect", "-f", "{{.Id}}", "imported:1", check=True).stdout == name.stdout


def test_shared_layers_stay_while_one_image_has_them(daemon: Daemon) -> None:
    one, other = image(), image("local/b:1", text="other")
    daemon.pysup("load", stdin=docker_archive(one, other), check=True)
    layers = [path for path in stored(daemon.root) if path.startswith("layers/")]
    assert len(layers) == 3
    daemon.pysup("rmi", "local/a:1", check=True)
    assert len([path for path in stored(daemon.root) if path.startswith("layers/")]) == 2
    assert daemon.docker("run", "--rm", "local/b:1").stdout == "other"


def test_an_image_in_use_gives_up_its_name_if_forced_and_stays(daemon: Daemon) -> None:
    made = image()
    daemon.pysup("load", stdin=oci_archive(made), check=True)
    daemon.pysup("run", "--name", "user", "local/a:1", check=True)
    refused = daemon.docker("rmi", "local/a:1")
    assert (refused.returncode, "container user uses it" in refused.stderr) == (1, True)
    forced = daemon.docker("rmi", "-f", "local/a:1")
    assert (forced.stdout, forced.stderr) == ("Untagged: local/a:1\n", "")
    assert "container user uses it" in daemon.docker("rmi", "-f", made.id).stderr
    assert daemon.pysup("image", "prune", "-af", check=True).stdout == "Total reclaimed space: 0B\n"
    assert daemon.pysup("start", "-a", "user", check=True).stdout == "hello"
    daemon.pysup("rm", "user", check=True)
    assert f"deleted: {made.id}" in daemon.pysup("image", "prune", "-f", check=True).stdout
