"""Volumes, binds, memory and secrets over or in /proc, by name or through links of the image: refused as by runc.

The class of CVE-2019-19921 and CVE-2025-52881: what is written to /proc, or read there, is then a file of somebody's.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from helpers.images import Image, Member, busybox, layer, oci_archive

pytestmark = pytest.mark.kernel

LINKS = {
    "to-proc": "/proc",
    "to-self": "/proc/self",
    "to-a-mask": "/proc/acpi",
    "up": "../../proc/sys",
    "to-root": "/",
    "up-to-root": "..",
    "twice": "to-self",
}


def link(name: str, target: str) -> Member:
    return name, {"type": tarfile.SYMTYPE, "linkname": target}, b""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("targets")) as started:
        links = layer(*(link(name, target) for name, target in LINKS.items()))
        image = Image([busybox(), links], {"Cmd": ["true"]}, ["links:1"])
        started.pysup("load", stdin=oci_archive(image), check=True)
        yield started


def run(daemon: Daemon, *words: str) -> tuple[int, str]:
    done = daemon.pysup("run", "--rm", "--network", "none", *words)
    return done.returncode, done.stdout + done.stderr


IN_PROC = [
    "/proc/sys",
    "/proc/self/attr",
    "/proc/acpi",
    "/to-proc/sys",
    "/to-self/attr",
    "/to-a-mask",
    "/up",
    "/twice",
]
OVER_PROC = ["/proc", "/to-proc"]
OVER_ROOT = ["/to-root", "/up-to-root", "/to-root/to-root"]
CASES = [
    *((target, "inside /proc") for target in IN_PROC),
    *((target, "only a proc file system") for target in OVER_PROC),
    *((target, "the root") for target in OVER_ROOT),
]


@pytest.mark.parametrize("how", [[], ["--userns", "auto"]], ids=["host", "userns"])
@pytest.mark.parametrize(("target", "cause"), CASES, ids=[target for target, _ in CASES])
def test_no_directory_is_mounted_there(daemon: Daemon, target: str, cause: str, how: list[str]) -> None:
    tmpfs = run(daemon, *how, "--tmpfs", target, "links:1")
    volume = run(daemon, *how, "-v", f"data:{target}", "links:1")
    assert {code for code, _ in (tmpfs, volume)} == {125}
    for _, text in (tmpfs, volume):
        assert f"on {target}: " in text and cause in text


@pytest.mark.parametrize(
    "target", ["/proc/version", "/proc/self/comm", "/to-self/comm", "/to-proc/uptime/../version"]
)
def test_no_file_is_mounted_there(daemon: Daemon, tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_text("fake")
    for words in (["-v", f"{tmp_path}/file:{target}"], ["--secret", f"src={tmp_path}/file,target={target}"]):
        code, text = run(daemon, *words, "links:1", "cat", target)
        assert code == 125 and "fake" not in text and "/proc" in text


def test_what_lxcfs_gives_may_be_shown(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("emulated")
    for target in ("/proc/cpuinfo", "/proc/uptime", "/to-proc/loadavg"):
        assert run(daemon, "-v", f"{tmp_path}/file:{target}", "links:1", "cat", target) == (0, "emulated")


def test_proc_may_be_the_hosts_but_whole(daemon: Daemon) -> None:
    look = ["links:1", "readlink", "/proc/self"]
    assert run(daemon, "-v", "/proc:/proc", "--pid", "host", *look)[0] == 0
    code, text = run(daemon, "-v", "/proc/self:/proc", *look)
    assert code == 125 and "only a proc file system" in text


def test_a_volume_of_an_image_is_no_better(daemon: Daemon) -> None:
    image = Image([busybox()], {"Cmd": ["true"], "Volumes": {"/proc": {}}}, ["volume:1"])
    daemon.pysup("load", stdin=oci_archive(image), check=True)
    code, text = run(daemon, "volume:1")
    assert code == 125 and "only a proc file system" in text
    daemon.pysup("rmi", "volume:1", check=True)


def test_dev_and_sys_may_be_covered(daemon: Daemon) -> None:
    for target in ("/dev", "/sys", "/sys/firmware"):
        assert run(daemon, "--tmpfs", target, "links:1", "ls", "-A", target)[0] == 0


@pytest.mark.parametrize("how", [[], ["--sysctl", "net.ipv4.ip_forward=1"], ["--userns", "auto"]], ids=str)
@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
@pytest.mark.parametrize("leads", ["absolute", "upwards", "inside"])
def test_what_engines_mount_themselves_is_no_link(
    daemon: Daemon, tmp_path: Path, name: str, leads: str, how: list[str]
) -> None:
    """CVE-2026-41579 for /dev, CVE-2023-27561 and CVE-2019-19921 for the others: nothing is made where they lead."""
    victim = tmp_path / "victim"
    victim.mkdir()
    target = {"absolute": f"{victim}/new", "upwards": "../" * 30 + f"{victim}/new"[1:], "inside": "/etc"}[
        leads
    ]
    image = Image([busybox(), layer(link(name, target))], {"Cmd": ["true"]}, ["link:1"])
    daemon.pysup("load", stdin=oci_archive(image), check=True)
    code, text = run(daemon, *how, "link:1")
    assert code == 125 and "too many levels of symbolic links" in text, text
    assert list(victim.iterdir()) == []
    daemon.pysup("rmi", "link:1", check=True)
