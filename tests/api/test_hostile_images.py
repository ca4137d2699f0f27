"""Images that attack the host, and images that are damaged: an error that names the entry, or harmless inside.

Whatever is loaded: the host is untouched, and what did not become an image has left nothing (SECURITY.md: image
unpacking and documents, image configuration that reaches the host, data directory readable by users).
"""

from __future__ import annotations

import gzip
import json
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers.daemon import Daemon
from helpers.hostile_registry import HostileRegistry
from helpers.images import (
    DIRECTORY,
    Image,
    Member,
    blob,
    busybox,
    descriptor,
    docker_archive,
    encode,
    layer,
    oci_archive,
)
from helpers.storage import stored

from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.documents import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST

pytestmark = pytest.mark.kernel

BASE = busybox()


class Small(Daemon):
    """One whose --root has room for 40 MB, in its own mount namespace."""

    def command(self, *arguments: str) -> list[str]:
        words = super().command(*arguments)
        mount = f"mkdir -p {self.root}; mount -t tmpfs -o size=40m,mode=700 small {self.root}"
        return ["sh", "-ec", f'{mount}; exec "$@"', "sh", *words] if arguments[:1] == ("daemon",) else words


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of the host, whose content, mode, owner and neighbours must not change."""
    path = tmp_path / "victim"
    path.write_text("untouched")
    path.chmod(0o640)
    return path


@pytest.fixture
def daemon(shared: Daemon, victim: Path) -> Iterator[Daemon]:
    before = stored(shared.root)
    yield shared
    status = victim.lstat()
    assert victim.read_text() == "untouched"
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_nlink) == (0o640, 0, 1)
    assert os.listdir(victim.parent) == ["victim"]
    with closing(shared.client()) as client:
        for one in client.get("/images/json"):
            if one["RepoTags"] != ["host:latest"]:
                client.delete(f"/images/{one['Id']}", query={"force": "1"})
    assert stored(shared.root) == before, "nothing is left of it"


def refused(daemon: Daemon, archive: bytes, *causes: str) -> None:
    before = daemon.docker("images", "-a", "-q").stdout
    done = daemon.pysup("load", stdin=archive)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    for cause in causes:
        assert cause in done.stderr
    assert daemon.docker("images", "-a", "-q").stdout == before, "partial unpacking never becomes an image"


def link(name: str, target: str) -> Member:
    return name, {"type": tarfile.SYMTYPE, "linkname": target}, b""


def hard(name: str, target: str) -> Member:
    return name, {"type": tarfile.LNKTYPE, "linkname": target}, b""


def image(*members: Member, **others: Any) -> Image:
    return Image([BASE, layer(*members)], {"Cmd": ["true"]}, ["hostile:1"], **others)


# -- names, links, kinds -------------------------------------------------------------------------------------


def test_names_that_lead_upwards(daemon: Daemon, victim: Path) -> None:
    for name in ("../victim", "a/../../victim", "../" * 40 + str(victim), "..", "a/.."):
        refused(
            daemon, oci_archive(image((name, {}, b"x"))), "cannot unpack entry", repr(name.rstrip("/"))[:100]
        )
        refused(daemon, layer((name, {}, b"x")), "cannot load entry", "leads upwards")


def test_links_out_of_the_layer(daemon: Daemon, victim: Path) -> None:
    """CVE-2014-6407 and CVE-2014-9356: entries written through symbolic and hard links that came before them."""
    refused(daemon, oci_archive(image(hard("h", f"../../..{victim}"))), "cannot unpack entry 'h'")
    refused(daemon, oci_archive(image(hard("h", str(victim)))), "cannot unpack entry 'h'", "No such file")
    refused(daemon, oci_archive(image(link("l", str(victim)), hard("h", "l/x"))), "cannot unpack entry 'h'")
    refused(daemon, oci_archive(image(link("d", str(victim.parent)), ("d/victim", {}, b"x"))), "'d/victim'")
    refused(daemon, oci_archive(image(link("loop", "loop"), ("loop/f", {}, b"x"))), "'loop/f'")


def test_links_that_stay_are_harmless(daemon: Daemon, victim: Path) -> None:
    through = image(
        link("l", str(victim)), ("l", {"mode": 0o777}, b"replaced"), link("up", "/../../.."), ("up/f", {}, b"inside"),
        hard("h", "f"), ("h", {"mode": 0o4777, "uid": 1234}, b"hard"),
        ("dir", DIRECTORY, b""), link("dir", str(victim.parent)), ("dir2", DIRECTORY, b""), link("dir2", "/"),
        (str(victim), {"mode": 0o777}, b"absolute"),
    )  # fmt: skip
    daemon.pysup("load", stdin=oci_archive(through), check=True)
    assert (
        daemon.docker("run", "--rm", "hostile:1", "cat", "/l", "/f", "/h", str(victim)).stdout
        == "replacedinsidehardabsolute"
    )


def test_modes_and_owners_reach_no_file_of_the_host(daemon: Daemon, victim: Path) -> None:
    """CVE-2021-32760: chmod(2) by the name of a hard link to a symbolic link changed the file that this led to."""
    given = {"mode": 0o4777, "uid": 1234, "gid": 1234, "mtime": 1}
    attributes = {"pax_headers": {"SCHILY.xattr.user.mine": "x"}}
    first, second = link("l", str(victim)), hard("h", "l")
    for last in (
        (second[0], {**second[1], **given, **attributes}, b""),
        ("l", {**given, "type": tarfile.SYMTYPE, "linkname": str(victim), **attributes}, b""),
        ("h", {**given, "type": tarfile.LNKTYPE, "linkname": "l"}, b""),
    ):
        daemon.pysup("load", stdin=oci_archive(image(first, second, last)), check=True)
        assert os.listxattr(victim) == []
        script = "readlink /l; readlink /h"
        shown = daemon.docker("run", "--rm", "hostile:1", "sh", "-c", script).stdout
        assert shown == f"{victim}\n" * 2
        daemon.pysup("rmi", "hostile:1", check=True)
    through = image(link("d", str(victim.parent)), ("d", {**DIRECTORY, **given}, b""))
    daemon.pysup("load", stdin=oci_archive(through), check=True)
    assert daemon.docker("run", "--rm", "hostile:1", "stat", "-c", "%F %a", "/d").stdout == "directory 4777\n"


def test_names_that_come_twice_are_the_last_one(daemon: Daemon, victim: Path) -> None:
    """A file, a directory with content, a device and a link by turns, in one layer and in the archive itself."""
    kinds: list[Member] = [
        ("x", {}, b"first"),
        ("x", DIRECTORY, b""),
        ("x/inner", {}, b"inner"),
        ("x", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, b""),
        link("x", str(victim)),
        ("./x", {}, b"second"),
        (".//x", {"mode": 0o644}, b"last"),
    ]
    made = image(*kinds)
    daemon.pysup("load", stdin=oci_archive(made), check=True)
    assert daemon.docker("run", "--rm", "hostile:1", "cat", "/x").stdout == "last"
    daemon.pysup("rmi", "hostile:1", check=True)
    index = {"manifests": [descriptor(made.manifest, OCI_MANIFEST)]}
    members = [*map(blob, made.blobs), blob(made.document), blob(made.manifest)]
    twice = layer(*members, ("index.json", {}, b"{"), ("./index.json", {}, encode(index)))
    daemon.pysup("load", stdin=twice, check=True)
    daemon.docker("rmi", "-f", made.id)


def test_an_archive_of_links(daemon: Daemon, victim: Path) -> None:
    made = image()
    config = made.id.removeprefix("sha256:") + ".json"
    listed = encode([{"Config": config, "Layers": ["l", "l"]}])
    for target in (str(victim), "../victim", "l", "/etc/passwd"):
        archive = layer(("manifest.json", {}, listed), (config, {}, made.document), link("l", target))
        refused(daemon, archive, "its layer 'l' is not in the archive")
    refused(daemon, layer(link("manifest.json", "/etc/passwd")), "neither index.json nor manifest.json")


def test_devices_belong_to_the_layer_and_open_nowhere(daemon: Daemon) -> None:
    disk: Member = ("disk", {"type": tarfile.BLKTYPE, "devmajor": 254, "devminor": 0, "mode": 0o666}, b"")
    memory: Member = ("mem", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 1, "mode": 0o666}, b"")
    daemon.pysup(
        "load", stdin=oci_archive(image(disk, memory, ("fifo", {"type": tarfile.FIFOTYPE}, b""))), check=True
    )
    for name in ("/disk", "/mem"):
        done = daemon.docker("run", "--rm", "hostile:1", "cat", name)
        assert done.returncode == 1 and "Operation not permitted" in done.stderr
    refused(daemon, layer(disk), "cannot load entry 'disk'", "neither a file nor a directory nor a link")


def test_whiteouts_touch_only_their_layer(daemon: Daemon, victim: Path) -> None:
    refused(
        daemon, oci_archive(image(("d/.wh...", {}, b""))), "cannot unpack entry 'd/.wh...'", "hides no name"
    )
    refused(daemon, oci_archive(image((".wh...", {}, b""))), "hides no name")
    daemon.pysup(
        "load",
        stdin=oci_archive(image(link("l", str(victim)), (".wh.l", {}, b""), (".wh.tmp", {}, b""))),
        check=True,
    )
    assert Path("/tmp").is_dir()


def test_names_too_long_and_attributes_of_overlayfs(daemon: Daemon) -> None:
    refused(
        daemon, oci_archive(image(("n" * 300, {}, b""))), "cannot unpack entry 'nnn", "File name too long"
    )
    refused(
        daemon,
        oci_archive(image(("d/" * 3000 + "f", {}, b""))),
        "cannot unpack entry 'd/d/",
        "File name too long",
    )
    headers = {
        f"SCHILY.xattr.{name}": "/etc"
        for name in ("trusted.overlay.redirect", "user.overlay.redirect", "user.a")
    }
    daemon.pysup(
        "load", stdin=oci_archive(image(("d", {**DIRECTORY, "pax_headers": headers}, b""))), check=True
    )
    (found,) = [path / "d" for path in (daemon.root / "images/layers").iterdir() if (path / "d").exists()]
    assert os.listxattr(found) == ["user.a"]


def test_set_uid_files_cannot_be_reached_from_the_host(daemon: Daemon) -> None:
    """CVE-2021-41091: directories of layers that users of the host may search."""
    daemon.pysup("load", stdin=oci_archive(image(("root", {"mode": 0o4755}, b"#!"))), check=True)
    (found,) = [
        path / "root" for path in (daemon.root / "images/layers").iterdir() if (path / "root").exists()
    ]
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", str(found)]
    assert "Permission denied" in subprocess.run(words, capture_output=True, text=True, check=False).stderr


# -- sizes ---------------------------------------------------------------------------------------------------


def test_a_sparse_bomb_takes_no_room(daemon: Daemon) -> None:
    """Eight terabytes in one header; and one that no file system has."""
    huge = {"pax_headers": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "huge"}}
    for size, name in ((8 << 40, "huge"), (1 << 63, "huge")):
        headers = {**huge["pax_headers"], "GNU.sparse.realsize": str(size)}
        content = b"1\n0\n1\n".ljust(512, b"\0") + b"x"
        archive = oci_archive(image((name, {"pax_headers": headers}, content)))
        if size >> 62:
            refused(daemon, archive, "cannot unpack entry 'huge'")
            continue
        daemon.pysup("load", stdin=archive, check=True)
        (found,) = [
            path / name for path in (daemon.root / "images/layers").iterdir() if (path / name).exists()
        ]
        assert (found.stat().st_size, found.stat().st_blocks * 512 < 1 << 20) == (size, True)
        daemon.pysup("rmi", "hostile:1", check=True)


def test_a_bomb_of_zeros_takes_no_room(daemon: Daemon) -> None:
    daemon.pysup("load", stdin=oci_archive(image(("zeros", {}, bytes(256 << 20)))), check=True)
    (found,) = [
        path / "zeros" for path in (daemon.root / "images/layers").iterdir() if (path / "zeros").exists()
    ]
    assert (found.stat().st_size, found.stat().st_blocks) == (256 << 20, 0)


@pytest.mark.parametrize("words", [["load"], ["import", "-", "zeros:1"], ["cp", "-", "into:/"]])
def test_an_archive_of_zeros_without_end(daemon: Daemon, words: list[str]) -> None:
    """As of /dev/zero: an archive that is over, and then goes on."""
    daemon.pysup("load", stdin=docker_archive(Image([busybox()], {"Cmd": ["true"]}, ["zeros:0"])), check=True)
    daemon.pysup("create", "--name", "into", "zeros:0", check=True)
    with open("/dev/zero", "rb") as zeros:
        done = subprocess.run(
            daemon.command(*words), stdin=zeros, capture_output=True, timeout=120, check=False
        )
    daemon.pysup("rm", "into", check=True)
    daemon.pysup("rmi", "zeros:0", check=True)
    if words[0] != "cp":  # that stops at the end, and leaves the rest
        assert done.returncode == 1 and b"more than 64 MiB follow its end" in done.stderr, done.stderr


def test_headers_without_end(daemon: Daemon) -> None:
    long = tarfile.TarInfo("././@LongLink")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    refused(daemon, docker_of(long.tobuf(tarfile.GNU_FORMAT)), "headers take more than")
    chain = tarfile.TarInfo("././@LongLink")
    chain.type, chain.size = tarfile.GNUTYPE_LONGNAME, 0
    refused(daemon, docker_of(chain.tobuf(tarfile.GNU_FORMAT) * 3000), "cannot read the archive")
    backwards = tarfile.TarInfo("f")
    backwards.size = -(1 << 20)
    refused(daemon, docker_of(backwards.tobuf(tarfile.GNU_FORMAT) + bytes(1024)), "leads backwards")


def docker_of(content: bytes) -> bytes:
    """An image whose one layer has exactly this content."""
    return docker_archive(Image([content], {}, ["hostile:1"], compressed=False))


# -- documents -----------------------------------------------------------------------------------------------


def test_contents_that_are_not_what_their_digest_says(daemon: Daemon) -> None:
    made = image()
    name, _, content = blob(made.blobs[1])
    good = oci_archive(made)
    refused(
        daemon,
        layer((name, {}, content[:-1] + b"?")),
        "cannot use blob sha256:",
        "its content has the digest",
    )
    flipped = bytearray(good)
    flipped[good.index(content) + len(content) // 2] ^= 0xFF
    refused(daemon, bytes(flipped), "its content has the digest")


def test_documents_that_contradict_each_other(daemon: Daemon) -> None:
    """CVE-2021-41190 is the last one: what is a manifest to one reader and an index to another."""
    made, other = image(), image(("other", {}, b""))
    manifest = json.loads(made.manifest)
    for change, cause in (
        ({"layers": manifest["layers"][:1]}, "its manifest has 1 layers, its config 2"),
        ({"layers": manifest["layers"][::-1]}, "its content has the digest"),
        ({"layers": [manifest["layers"][0], {**manifest["layers"][1], "size": 1}]}, "bytes, not 1"),
        (
            {"layers": [manifest["layers"][0], {**manifest["layers"][1], "mediaType": "text/plain"}]},
            "not supported",
        ),
        (
            {"layers": [manifest["layers"][0], {**manifest["layers"][1], "digest": "sha256:" + "0" * 64}]},
            "not in the archive",
        ),
        ({"config": manifest["layers"][0]}, "is not JSON"),
        (
            {"config": descriptor(made.manifest, OCI_CONFIG)},
            "cannot use the image's config: it is a manifest",
        ),
        ({"config": descriptor(other.document, OCI_CONFIG)}, "is not in the archive"),
        ({"manifests": []}, "a manifest and an index at once"),
    ):
        changed = encode({**manifest, **change})
        refused(daemon, _with_manifest(made, changed), cause)


@pytest.mark.parametrize("depth", [101, 900, 960, 980])
def test_a_config_of_many_levels(daemon: Daemon, depth: int) -> None:
    """What can be read in one place of the daemon could not be shown in another, nor a list that it is in."""
    image = Deep([layer(("f", {}, b""))], {"Labels": "deep"}, ["deep:1"])
    image.depth = depth
    refused(daemon, docker_archive(image), "is not JSON")


class Deep(Image):
    """Whose labels go deeper than json.dumps() can."""

    depth = 0

    @property
    def document(self) -> bytes:
        return super().document.replace(b'"deep"', b"[" * self.depth + b"]" * self.depth)


def _with_manifest(made: Image, manifest: bytes) -> bytes:
    index = {"schemaVersion": 2, "manifests": [descriptor(manifest, OCI_MANIFEST)]}
    members = [*map(blob, made.blobs), blob(made.document), blob(made.manifest), blob(manifest)]
    return layer(*members, ("index.json", {}, encode(index)))


@pytest.mark.parametrize(
    ("members", "cause"),
    [
        ([], "neither index.json nor manifest.json"),
        ([("index.json", {}, b"{")], "it is not JSON"),
        ([("index.json", {}, b"[]")], "it is not a JSON object"),
        ([("index.json", {}, b'{"manifests": []}')], "the archive lists none"),
        ([("index.json", {}, b" " * (9 << 20))], "more than 8388608 bytes"),
        ([("index.json", {}, encode({"manifests": [{"digest": "sha256:../../x", "size": 1}]}))], "no valid digest"),
        ([("manifest.json", {}, b"{}")], "is not an array"),
        ([("manifest.json", {}, b"[7]")], "is not an object"),
        ([("manifest.json", {}, b'[{"Config": "../../etc/passwd"}]')], "is not in the archive"),
        ([("manifest.json", {}, b'[{"Config": 7, "Layers": [7]}]')], "is not in the archive"),
        ([("manifest.json", {}, b"[" * 100_000)], "it is not JSON"),
    ],
)  # fmt: skip
def test_documents_that_are_none(daemon: Daemon, members: list[Member], cause: str) -> None:
    refused(daemon, layer(("x", {}, b""), *members), cause)


def test_indexes_without_end(daemon: Daemon) -> None:
    """A digest cannot be its own, but a tower of them can be high."""
    content, kind, tower = image().manifest, OCI_MANIFEST, list[bytes]()
    for _ in range(8):
        tower.append(content)
        content, kind = encode({"mediaType": OCI_INDEX, "manifests": [descriptor(content, kind)]}), OCI_INDEX
    refused(daemon, layer(*map(blob, tower), ("index.json", {}, content)), "more than 4 indexes")


def test_names_that_break_the_grammar(daemon: Daemon) -> None:
    for name in (
        "UPPER:1",
        "a/../b:1",
        "-x:1",
        "a:b:c",
        "a b:1",
        "/etc/passwd",
        "host:latest",
        "x" * 300 + ":1",
    ):
        bad = Image([BASE], {}, [name])
        cause = "the machine's own root" if name == "host:latest" else "invalid reference"
        refused(daemon, docker_archive(bad), cause)


def test_a_config_selects_nothing_of_the_host(daemon: Daemon, victim: Path) -> None:
    """Labels, users and working directories are words; there is no way from them to a path of the host.

    CVE-2026-53488: labels of an image chose a program of the host.
    """
    config = {
        "Labels": {
            "com.docker.volume": str(victim),
            "org.opencontainers.image.log-driver": "|touch /tmp/owned",
        },
        "WorkingDir": "/../../..",
        "Env": [f"LD_PRELOAD={victim}", "PATH=/bin"],
        "User": "0:0",
    }
    daemon.pysup("load", stdin=oci_archive(Image([BASE], config, ["hostile:1"])), check=True)
    assert daemon.docker("run", "--rm", "hostile:1", "pwd").stdout == "/\n"
    assert not Path("/tmp/owned").exists()
    for wrong in ({"Env": "x"}, {"Cmd": {"a": 1}}, {"Volumes": ["/etc"]}, {"Labels": {"a": []}}, {"User": 7}):
        refused(daemon, oci_archive(Image([BASE], wrong, ["hostile:1"])), "cannot use the image's config")


def test_an_image_for_another_system(daemon: Daemon) -> None:
    made = image()
    config = encode({**json.loads(made.document), "os": "windows"})
    manifest = encode({**json.loads(made.manifest), "config": descriptor(config, OCI_CONFIG)})
    index = {"manifests": [descriptor(manifest, OCI_MANIFEST)]}
    members = [*map(blob, made.blobs), blob(config), blob(manifest), ("index.json", {}, encode(index))]
    refused(daemon, layer(*members), "it is for 'windows'")


# -- damage --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.001, 0.3, 0.6, 0.9, 0.99])
def test_truncated_archives(daemon: Daemon, share: float) -> None:
    whole = oci_archive(image(("f", {}, os.urandom(300_000))))
    for archive in (whole, gzip.compress(whole, 1)):
        refused(daemon, archive[: int(len(archive) * share)], "cannot ")


def test_archives_that_are_none(daemon: Daemon) -> None:
    for content in (b"", b"hello", os.urandom(5000), b"\x1f\x8b" + b"x" * 600, bytes(10_240), b"{}" * 3000):
        refused(daemon, content, "cannot ")


def test_a_damaged_layer_inside_a_whole_archive(daemon: Daemon) -> None:
    made = image(("f", {}, os.urandom(100_000)))
    broken = bytearray(made.blobs[1])
    broken[len(broken) // 2] ^= 0xFF
    config = made.id.removeprefix("sha256:") + ".json"
    listed = encode([{"Config": config, "RepoTags": ["hostile:1"], "Layers": ["0", "1"]}])
    members = [("0", {}, made.blobs[0]), ("1", {}, bytes(broken)), (config, {}, made.document)]
    refused(daemon, layer(*members, ("manifest.json", {}, listed)), "cannot ")


def test_a_layer_of_the_wrong_kind(daemon: Daemon) -> None:
    made = image()
    manifest = json.loads(made.manifest)
    text = b"this is no archive" * 100
    manifest["layers"][1] = descriptor(text, OCI_LAYER)
    config = json.loads(made.document)
    config["rootfs"]["diff_ids"][1] = digest_of(text)
    document = encode(config)
    manifest["config"] = descriptor(document, OCI_CONFIG)
    content = encode(manifest)
    members = [blob(made.blobs[0]), blob(text), blob(document), blob(content)]
    index = encode({"manifests": [descriptor(content, OCI_MANIFEST)]})
    refused(daemon, layer(*members, ("index.json", {}, index)), "cannot read the archive")


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """Noise, which no hole can hold: as a blob, and as what a small blob unpacks to."""
    noise = os.urandom(1 << 20)
    bomb = Image([layer(*((f"f{at}", {}, noise) for at in range(64)))], {}, ["hostile:1"], compressed=True)
    with Small(tmp_path) as daemon:
        for archive in (
            oci_archive(bomb),
            docker_archive(Image(bomb.layers, {}, ["hostile:1"], compressed=False)),
        ):
            done = daemon.pysup("load", stdin=archive)
            assert (done.returncode, "No space left on device" in done.stderr) == (1, True), done.stderr
            assert (
                daemon.docker("images", "-aq").stdout.split()
                == daemon.docker("images", "-q", "host").stdout.split()
            )
        with HostileRegistry() as registry:
            name = registry.add("hostile", "1", Image(bomb.layers, compressed=False))
            done = daemon.docker("pull", name)
            assert (done.returncode, "No space left on device" in done.stderr) == (1, True), done.stderr
            root = Path(f"/proc/{daemon.engine_pid}/root{daemon.root}")
            assert [*stored(root), *(root / "images/partial").iterdir()] == []
        daemon.pysup("load", stdin=oci_archive(Image([BASE], {}, ["good:1"])), check=True)
        assert daemon.docker("run", "--rm", "--network", "none", "good:1", "echo", "well").stdout == "well\n"
