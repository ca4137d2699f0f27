"""cp: the rules of docker's command for names, by both command lines, in containers that run and that rest."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers.daemon import Daemon
from helpers.images import DIRECTORY, Image, busybox, layer, oci_archive
from helpers.mortal import until
from helpers.trees import tree

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import PysupError

pytestmark = pytest.mark.kernel

LINK = {"type": tarfile.SYMTYPE}
CONTENT = layer(
    ("data", DIRECTORY, b""), ("data/file", {"uid": 7, "gid": 8}, b"content"), ("data/sub/deep", {}, b"deep"),
    ("link", {**LINK, "linkname": "data"}, b""), ("absolute", {**LINK, "linkname": "/data/file"}, b""),
    ("dangling", {**LINK, "linkname": "data/nowhere"}, b""), ("up", {**LINK, "linkname": "../../../../etc"}, b""),
    ("etc/passwd", {}, b"me:x:77:88::/:/bin/sh\n"), ("empty", DIRECTORY, b""),
)  # fmt: skip
KINDS = ("running", "resting", "removed-at-exit", "mapped", "mapped-resting")


class Box(NamedTuple):
    """A container called box, and the command line to copy with."""

    kind: str
    client: str


BOXES = [Box(kind, "docker") for kind in ("running", "resting", "mapped")]
BOXES += [Box(kind, "pysup") for kind in ("running", "removed-at-exit", "mapped-resting")]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("cp")) as started:
        started.pysup(
            "load",
            stdin=oci_archive(Image([busybox(), CONTENT], {"Env": ["PATH=/bin"]}, ["box:1"])),
            check=True,
        )
        yield started


@pytest.fixture(autouse=True)
def _no_box(daemon: Daemon) -> Iterator[None]:
    yield
    daemon.remove_containers()


@pytest.fixture(params=BOXES, ids=" ".join)
def box(daemon: Daemon, request: pytest.FixtureRequest) -> Box:
    """A container of each kind."""
    found: Box = request.param
    mapped = ("--uidmap", "0:100000:65536") if "mapped" in found.kind else ()
    rm = ("--rm",) if found.kind == "removed-at-exit" else ()
    verb = ("run", "-d") if found.kind in {"running", "mapped"} else ("create",)
    volumes = ("-v", "/vol", "--tmpfs", "/mem")
    daemon.pysup(*verb, "--name", "box", *rm, *mapped, *volumes, "box:1", "sleep", "600", check=True)
    return found


@pytest.fixture(params=["docker", "pysup"])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def cp(daemon: Daemon, client: str, *words: str, stdin: bytes | None = None) -> tuple[int, str]:
    """Exit code and complaint."""
    argv = (
        daemon.command("cp", *words)
        if client == "pysup"
        else ["docker", "-H", f"unix://{daemon.socket}", "cp", *words]
    )
    done = subprocess.run(argv, input=stdin or b"", capture_output=True, timeout=60, check=False)
    return done.returncode, done.stderr.decode()


def members(daemon: Daemon, path: str) -> dict[str, tarfile.TarInfo]:
    done = subprocess.run(daemon.command("cp", f"box:{path}", "-"), capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        return {one.name: one for one in archive}


# -- out of containers ---------------------------------------------------------------------------------------


def test_copying_out(daemon: Daemon, box: Box, tmp_path: Path) -> None:
    """Each destination as docker names it."""
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("before")
    copies = {
        ("/data", "new"): ["new/file", "new/sub", "new/sub/deep"],
        ("/data", "there"): ["there/data", "there/data/file", "there/data/sub", "there/data/sub/deep"],
        ("/data/.", "there/inside"): ["there/inside", "there/inside/file", "there/inside/sub"],
        ("/data/sub/deep", "file"): ["file"],
        ("/data/file", "there/"): ["there/file"],
        ("/link", "as-link"): ["as-link"],
        ("/link/", "followed"): ["followed/file", "followed/sub"],
        ("data/../data/file", "other"): ["other"],
    }
    for (source, target), expected in copies.items():
        assert cp(daemon, box.client, f"box:{source}", str(tmp_path / target)) == (0, "")
        for name in expected:
            assert os.path.lexists(tmp_path / name), (source, target, name)
    assert os.readlink(tmp_path / "as-link") == "data"
    assert (tmp_path / "file").read_text() == "deep"
    assert (tmp_path / "new/file").stat().st_uid == 0, "it belongs to whoever copies"
    assert cp(daemon, box.client, "-L", "box:/absolute", str(tmp_path / "real")) == (0, "")
    assert (tmp_path / "real").read_text() == "content"
    assert cp(daemon, box.client, "-L", "box:/link", str(tmp_path / "there")) == (0, "")
    assert (tmp_path / "there/link/file").read_text() == "content"


def test_an_archive_says_all(daemon: Daemon, box: Box) -> None:
    found = members(daemon, "/data")
    assert list(found) == ["data", "data/file", "data/sub", "data/sub/deep"]
    assert (found["data/file"].uid, found["data/file"].gid) == (7, 8)
    assert list(members(daemon, "/data/.")) == [".", "./file", "./sub", "./sub/deep"]
    assert members(daemon, "/up")["up"].linkname == "../../../../etc"
    assert list(members(daemon, "/up/passwd")) == ["passwd"]


@pytest.mark.parametrize(
    "case",
    [
        ("box:/nowhere", "x", "Could not find the file /nowhere in container box"),
        ("box:/data/file/", "x", "Not a directory"),
        ("box:/data", "no/such", "does not exist"),
        ("box:/data", "file", "cannot copy directory"),
        ("nobody:/data", "x", "No such container"),
    ],
)
def test_what_cannot_be_copied_out(
    daemon: Daemon, client: str, tmp_path: Path, case: tuple[str, str, str]
) -> None:
    source, target, complaint = case
    (tmp_path / "file").touch()
    daemon.pysup("create", "--name", "box", "box:1", "sh", check=True)
    code, said = cp(daemon, client, source, str(tmp_path / target))
    assert (code, complaint in said) == (1, True), said
    assert os.listdir(tmp_path) == ["file"]


def test_what_the_kernel_makes_up_is_no_file(daemon: Daemon) -> None:
    daemon.pysup("run", "-d", "--name", "box", "box:1", "sleep", "600", check=True)
    for path in ("/proc", "/proc/1/environ", "/sys/kernel"):
        code, said = cp(daemon, "docker", f"box:{path}", "-")
        assert (code, "made up by the kernel" in said) == (1, True)
    names = members(daemon, "/")
    assert "/proc" in names and "/sys" in names
    assert not any(name.startswith(("/proc/", "/sys/")) for name in names)


# -- into containers -----------------------------------------------------------------------------------------


def test_copying_in(daemon: Daemon, box: Box, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "one").write_text("one")
    os.link(source / "sub" / "one", source / "two")
    os.symlink("two", source / "three")
    os.chown(source / "two", 1000, 1001)
    (source / "two").chmod(0o4750)
    copies = {
        (source, "/new"): "/new/sub/one",
        (source, "/empty"): "/empty/source/sub/one",
        (f"{source}/.", "/data"): "/data/sub/one",
        (source / "two", "/data/file"): "/data/file",
        (source / "two", "/data/"): "/data/two",
        (source / "two", "/absolute"): "/data/file",
        (source / "three", "/link/"): "/data/three",
        (source / "two", "/dangling"): "/data/nowhere",
        (source, "/up"): "/etc/source/two",
        (source, "/vol"): "/vol/source/two",
    }
    if "mapped" in box.kind:  # what belongs to nobody inside cannot be written to, by nobody
        copies = {
            (path, target): found for (path, target), found in copies.items() if target in {"/new", "/vol"}
        }
    for (path, target), expected in copies.items():
        assert cp(daemon, box.client, str(path), f"box:{target}") == (0, ""), (path, target)
        assert members(daemon, expected), expected
    found = members(daemon, "/new")
    assert (found["new/sub/one"].uid, found["new/sub/one"].gid, found["new/sub/one"].mode) == (
        1000,
        1001,
        0o4750,
    )
    assert {found["new/two"].linkname, found["new/sub/one"].linkname} & {"new/sub/one", "new/two"}
    assert found["new/three"].linkname == "two"
    if box.kind == "removed-at-exit":
        return
    daemon.pysup("start", "box")
    script = "stat -c '%u %g %a' /new/two /vol/source/two; cat /new/sub/one"
    shown = daemon.pysup("exec", "box", "sh", "-c", script, check=True)
    assert shown.stdout.split() == ["1000", "1001", "4750"] * 2 + ["one"]


def test_a_container_that_is_removed_at_its_exit_has_what_was_copied_into_it(
    daemon: Daemon, tmp_path: Path
) -> None:
    (tmp_path / "script").write_text("echo it runs")
    daemon.pysup("create", "--rm", "--name", "box", "box:1", "sh", "/script", check=True)
    assert cp(daemon, "docker", str(tmp_path / "script"), "box:/") == (0, "")
    assert daemon.pysup("start", "-a", "box").stdout == "it runs\n"


def test_an_archive_from_standard_input(daemon: Daemon, box: Box) -> None:
    archive = layer(
        ("a/b/c", {"uid": 5, "mode": 0o640}, b"x"), ("a/fifo", {"type": tarfile.FIFOTYPE}, b""),
        ("a/.wh.c", {}, b"a name like any other"), ("a", {**DIRECTORY, "mode": 0o700}, b""),
        ("hard", {"type": tarfile.LNKTYPE, "linkname": "a/b/c"}, b""),
    )  # fmt: skip
    target = "/vol" if "mapped" in box.kind else "/data"
    for compressed in (
        archive,
        subprocess.run(["gzip"], input=archive, capture_output=True, check=True).stdout,
    ):
        assert cp(daemon, box.client, "-", f"box:{target}", stdin=compressed) == (0, "")
        found = members(daemon, f"{target}/.")
        assert {"./a/b/c", "./a/.wh.c", "./hard"} <= set(found)
        assert (found["./a"].mode, found["./a/b/c"].uid, found["./a/fifo"].isfifo()) == (0o700, 5, True)
    code, said = cp(daemon, box.client, "-", "box:/data/file", stdin=archive)
    assert (code, "must be a directory" in said) == (1, True)
    code, said = cp(daemon, box.client, "-", f"box:{target}", stdin=archive[:700])
    assert (code, "damaged or ends too early" in said) == (1, True), said


def test_archive_mode_gives_it_to_the_containers_user(daemon: Daemon, client: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    daemon.pysup("create", "--name", "box", "-u", "me", "box:1", "sh", check=True)
    assert cp(daemon, client, "-a", str(tmp_path / "file"), "box:/data") == (0, "")
    found = members(daemon, "/data/file")["file"]
    assert (found.uid, found.gid) == (77, 88)


@pytest.mark.parametrize(
    "case",
    [
        ("dir", "box:/data/file", "cannot copy directory"),
        ("file", "box:/nowhere/", "no such directory"),
        ("file", "box:/data/file/", "directory"),
        ("file", "box:/no/where", "Could not find the file /no in container box"),
        ("dir2", "box:/", "cannot overwrite non-directory with directory"),
        ("nothing", "box:/", "o such file or directory"),
        ("file", "box:/fixed/file", "mounted volume is marked read-only"),
        ("file", "nobody:/x", "No such container"),
        ("box:/a", "box:/b", "copying between containers is not supported"),
    ],
)
def test_what_cannot_be_copied_in(
    daemon: Daemon, client: str, tmp_path: Path, case: tuple[str, str, str]
) -> None:
    source, target, complaint = case
    (tmp_path / "file").touch()
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir2" / "absolute").mkdir(parents=True)
    daemon.pysup("create", "--name", "box", "-v", "fixed:/fixed:ro", "box:1", "sh", check=True)
    words = "dir2/." if source == "dir2" else source
    code, said = cp(daemon, client, words if ":" in words else f"{tmp_path}/{words}", target)
    assert (code, complaint in said) == (1, True), said


@pytest.mark.parametrize("verb", [("create",), ("run", "-d")], ids=" ".join)
def test_a_read_only_root_does_not_change(daemon: Daemon, tmp_path: Path, verb: Sequence[str]) -> None:
    (tmp_path / "file").write_text("x")
    daemon.pysup(*verb, "--name", "box", "--read-only", "-v", "/vol", "box:1", "sleep", "600", check=True)
    refused = cp(daemon, "docker", str(tmp_path / "file"), "box:/data")
    assert (refused[0], "container rootfs is marked read-only" in refused[1]) == (1, True)
    assert cp(daemon, "docker", str(tmp_path / "file"), "box:/vol") == (0, "")


def test_mounts_are_seen_and_stay(daemon: Daemon, tmp_path: Path) -> None:
    """The kernel would let a file be removed that is a mount point elsewhere, and take the mount away there."""
    (tmp_path / "file").write_text("new")
    daemon.pysup(
        "run", "-d", "--name", "box", "--tmpfs", "/mem", "-v", "/vol", "box:1", "sleep", "600", check=True
    )
    assert cp(daemon, "docker", str(tmp_path / "file"), "box:/mem/file") == (0, "")
    assert daemon.pysup("exec", "box", "cat", "/mem/file", check=True).stdout == "new"
    assert "localhost" in daemon.pysup("cp", "box:/etc/hosts", "-", check=True).stdout
    code, said = cp(daemon, "docker", str(tmp_path / "file"), "box:/etc/hosts")
    assert (code, "something is mounted there" in said) == (1, True), said
    replaced = layer(("vol", {}, b"a file"))
    done = daemon_put(daemon, "/", replaced)
    assert "something is mounted there" in done
    inside = daemon_put(daemon, "/", layer(("etc", {}, b"a file")))
    assert "something is mounted there" in inside
    shown = daemon.pysup("exec", "box", "sh", "-c", "cat /etc/hosts; touch /vol/x", check=True)
    assert "localhost" in shown.stdout
    assert [name for name in members(daemon, "/vol") if name != "vol"] == ["vol/x"]


def daemon_put(daemon: Daemon, path: str, archive: bytes) -> str:
    """The API by itself lets kinds be replaced."""
    url = f"http://x/containers/box/archive?path={path}"
    argv = ["curl", "-s", "--unix-socket", str(daemon.socket), "-X", "PUT", "--data-binary", "@-", url]
    return subprocess.run(argv, input=archive, capture_output=True, check=True).stdout.decode()


def test_a_paused_container(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    daemon.pysup("run", "-d", "--name", "box", "box:1", "sleep", "600", check=True)
    daemon.pysup("pause", "box", check=True)
    assert cp(daemon, "docker", str(tmp_path / "file"), "box:/data") == (0, "")
    assert list(members(daemon, "/data/file")) == ["file"]


def test_a_sparse_file_goes_both_ways(daemon: Daemon, client: str, tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.seek(64 << 20)
        file.write(b"end")
    daemon.pysup("create", "--name", "box", "box:1", "sh", check=True)
    assert cp(daemon, client, str(tmp_path / "sparse"), "box:/data") == (0, "")
    assert cp(daemon, client, "box:/data/sparse", str(tmp_path / "back")) == (0, "")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "sparse").read_bytes()


def test_whoever_copies_gets_no_powers_from_a_container(daemon: Daemon, tmp_path: Path) -> None:
    script = "cp /bin/busybox /tmp/root; chmod 6755 /tmp/root; mkdir /tmp/shared; chmod 2775 /tmp/shared"
    daemon.pysup("run", "--name", "box", "box:1", "sh", "-c", script, check=True)
    assert cp(daemon, "pysup", "box:/tmp/.", str(tmp_path / "out")) == (0, "")
    assert stat.S_IMODE((tmp_path / "out" / "root").stat().st_mode) == 0o755


def test_archive_mode_keeps_the_owners_of_what_comes_out(daemon: Daemon, tmp_path: Path) -> None:
    daemon.pysup("create", "--name", "box", "box:1", "sh", check=True)
    for flags in ([], ["-a"]):
        assert cp(daemon, "pysup", *flags, "box:/data", str(tmp_path / "-".join(["out", *flags]))) == (0, "")
    owners = [
        (status.st_uid, status.st_gid)
        for status in ((tmp_path / name / "file").stat() for name in ("out", "out--a"))
    ]
    assert owners == [(0, 0), (7, 8)]


# -- while the container does something ----------------------------------------------------------------------


LEASE = """
import fcntl, signal
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open("/srv/leased", "w")
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
signal.pause()
"""


def test_a_lease_keeps_nobody_waiting(daemon: Daemon, tmp_path: Path) -> None:
    """Whoever opens such a file without O_NONBLOCK waits for lease-break-time, 45 s (proc_sys_fs(5))."""
    daemon.pysup(
        "run", "-d", "--name", "box", "--network", "none", "host", "python3", "-c", LEASE, check=True
    )
    until(lambda: "held" in daemon.pysup("logs", "box").stdout, "the lease")
    told = daemon.pysup("cp", "box:/srv/leased", str(tmp_path), timeout=30)
    assert told.returncode == 1, told
    assert "cannot copy /srv/leased from container box: Resource temporarily" in daemon.log.read_text()


def test_who_looks_at_one_whose_end_is_not_committed_yet_waits_for_that(daemon: Daemon) -> None:
    """And keeps nobody else waiting: somebody looks at the database meanwhile, and has locked it."""
    daemon.pysup("run", "-d", "--name", "box", "box:1", "sleep", "600", check=True)
    pid = int(daemon.pysup("inspect", "-f", "{{.State.Pid}}", "box", check=True).stdout)
    begun = len(daemon.log.read_text())
    database = sqlite3.connect(daemon.root / "pysup.db", isolation_level=None)
    with contextlib.closing(database) as other, socket.socket(socket.AF_UNIX) as client:
        other.execute("BEGIN IMMEDIATE")
        os.kill(pid, signal.SIGKILL)
        until(lambda: "trying again" in daemon.log.read_text()[begun:], "that the end cannot be committed")
        client.settimeout(60)
        client.connect(str(daemon.socket))
        client.sendall(b"GET /containers/box/archive?path=/data/file HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(3):
            assert daemon.pysup("version", timeout=60).returncode == 0
        other.execute("ROLLBACK")
        assert client.recv(12) == b"HTTP/1.1 200"


def test_a_container_that_exchanges_names_gains_nothing(daemon: Daemon, tmp_path: Path) -> None:
    """It makes links to a directory of the host's where others look for its own (CVE-2018-15664)."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "secret").write_text("the host's")
    (tmp_path / "new").write_text("new")
    loop = f"""while true; do rm -rf /swap; mkdir /swap; echo inside > /swap/secret; rm -rf /swap
    ln -s {tmp_path}/victim /swap; done"""
    daemon.pysup("run", "-d", "--name", "box", "box:1", "sh", "-c", loop, check=True)
    client = Client(f"unix://{daemon.socket}")
    (archive,) = [layer(("swap/secret", {"uid": 5, "mode": 0o777}, b"written"))]
    for number in range(60):
        with contextlib.suppress(PysupError):
            path = ("/swap/secret", "/swap/", "/")[number % 3]
            with client.exchange("GET", "/containers/box/archive", query={"path": path}) as opened:
                assert b"the host's" not in b"".join(opened.pieces())
        with contextlib.suppress(PysupError):
            query = {"path": ("/swap", "/")[number % 2]}
            with client.exchange(
                "PUT", "/containers/box/archive", query=query, body=iter([archive])
            ) as opened:
                assert b"".join(opened.pieces()) == b""
    assert os.listdir(tmp_path / "victim") == ["secret"]
    assert (tmp_path / "victim" / "secret").read_text() == "the host's"


@pytest.mark.parametrize("flags", [(), ("--uidmap", "0:100000:65536")], ids=["kept", "alone"])
def test_a_start_while_somebody_copies(daemon: Daemon, flags: Sequence[str]) -> None:
    """The run has the overlay of who copies; where that cannot be (user namespaces), the start waits for the end."""
    daemon.pysup(
        "create", "--name", "box", *flags, "box:1", "sh", "-c", "cat /big | wc -c; echo x > /new", check=True
    )
    big = layer(("big", {}, bytes(range(256)) * (1 << 15)))
    client = Client(f"unix://{daemon.socket}")
    with client.exchange("PUT", "/containers/box/archive", query={"path": "/"}, body=iter([big])) as opened:
        assert b"".join(opened.pieces()) == b""
    with client.exchange("GET", "/containers/box/archive", query={"path": "/big"}) as opened:
        pieces = opened.pieces()
        first = next(pieces)
        start = subprocess.Popen(daemon.command("start", "-a", "box"), stdout=subprocess.PIPE)
        assert start.stdout is not None
        if not flags:
            assert start.communicate(timeout=30)[0].split() == [b"8388608"]
        rest = b"".join(pieces)
    assert len(first + rest) > len(big) - 10240
    if flags:
        assert start.communicate(timeout=30)[0].split() == [b"8388608"]
    assert list(members(daemon, "/new")) == ["new"]


# -- export --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_imports_as_the_same_tree(daemon: Daemon, kind: str, tmp_path: Path) -> None:
    mapped = ("--uidmap", "0:100000:65536") if "mapped" in kind else ()
    rm = ("--rm",) if kind == "removed-at-exit" else ()
    script = "mkdir /own; echo x > /own/y; ln /own/y /own/z; rm -r /empty 2>/dev/null; echo v > /vol/v; exec sleep 600"
    words = ["--name", "box", *rm, *mapped, "-v", "/vol", "--tmpfs", "/data/sub", "box:1", "sh", "-c", script]
    daemon.pysup("run", "-d", *words, check=True)
    while daemon.pysup("exec", "box", "cat", "/vol/v").returncode:
        pass
    if "resting" in kind:
        daemon.pysup("kill", "box", check=True)
        daemon.pysup("wait", "box")
    daemon.pysup("export", "box", "-o", str(tmp_path / "pysup.tar"), check=True)
    exported = subprocess.run(
        ["docker", "-H", f"unix://{daemon.socket}", "export", "box"], capture_output=True, check=True
    )
    assert exported.stdout == (tmp_path / "pysup.tar").read_bytes()
    with tarfile.open(tmp_path / "pysup.tar") as archive:
        names = archive.getnames()
        assert archive.getmember("own/z").linkname == "own/y"
    assert {"data/sub/deep", "own/y", "vol", "link"} <= set(names), "volumes cover what is exported"
    assert not {"vol/v", ".", ""} & set(names) and "empty" not in names
    daemon.pysup("rm", "-fv", "box", check=True)
    daemon.pysup("import", str(tmp_path / "pysup.tar"), "again:1", check=True)
    daemon.pysup("create", "--name", "box", "again:1", "true", check=True)
    again = subprocess.run(daemon.command("export", "box"), capture_output=True, check=True).stdout
    daemon.pysup("rm", "box", check=True)
    daemon.pysup("rmi", "again:1", check=True)
    for name, data in (("first", (tmp_path / "pysup.tar").read_bytes()), ("second", again)):
        (tmp_path / name).mkdir()
        subprocess.run(["tar", "x", "--numeric-owner", "-C", tmp_path / name], input=data, check=True)
    assert tree(tmp_path / "first") == tree(tmp_path / "second")
