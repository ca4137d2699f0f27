"""Dockerfiles, contexts and base images that attack the host or the cache of others, each with the attack made.

The classes of CVE-2024-21626 (WORKDIR), CVE-2024-23651 to 23653 (BuildKit: mounts of steps, what is removed after them,
privileges of steps) and CVE-2024-24557 (the classic builder's cache).
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.contexts import build, built, config_of, context, of_image
from helpers.daemon import Daemon
from helpers.images import Image, Member, busybox, docker_archive, layer

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("build")) as started:
        load(started, "base:1")
        yield started
        assert list((started.root / "images" / "tmp").iterdir()) == []
        assert started.docker("ps", "-aq").stdout == ""


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A directory of the host's with the names that are mounted over in a container; it stays as it is."""
    place = tmp_path / "victim"
    place.mkdir()
    for name in ("hosts", "hostname", "resolv.conf", "empty", "passwd"):
        (place / name).write_text("" if name in ("empty", "hosts") else "the host's")
    before = {
        path.name: (path.lstat().st_ino, path.lstat().st_mtime_ns, path.read_text())
        for path in place.iterdir()
    }
    yield place
    after = {
        path.name: (path.lstat().st_ino, path.lstat().st_mtime_ns, path.read_text())
        for path in place.iterdir()
    }
    assert after == before


def load(daemon: Daemon, name: str, *members: Member) -> None:
    image = Image([busybox(), layer(*members)], {"Env": ["PATH=/bin"], "Cmd": ["sh"]}, [name])
    daemon.pysup("load", stdin=docker_archive(image), check=True)


def link(name: str, target: str) -> Member:
    return name, {"type": tarfile.SYMTYPE, "linkname": target}, b""


@pytest.mark.parametrize("leads", ["absolute", "upwards"])
@pytest.mark.parametrize("name", ["etc", "dev", "run", "tmp", "work"])
def test_what_a_step_s_mounts_lie_on_is_never_the_host_s(
    daemon: Daemon, victim: Path, name: str, leads: str
) -> None:
    """CVE-2024-23652: what was made for mounts was removed after the step, wherever a link of the image led."""
    target = str(victim) if leads == "absolute" else "../" * 20 + str(victim).lstrip("/")
    load(daemon, "links:1", link(name, target))
    steps = f"FROM links:1\nRUN true\nWORKDIR /{name}/made\nCOPY f /{name}/f\nRUN echo x > /{name}/written || true\n"
    build(daemon, context(steps, ("f", "f")), forcerm=1)  # built or refused: the host is not concerned


def test_a_step_that_exchanges_what_is_mounted_over_removes_nothing_outside(
    daemon: Daemon, victim: Path
) -> None:
    """The names are links by the end of the step, as are the places in which later steps write."""
    swap = f"busybox mkdir -p {victim}; rm -rf /srv /opt; ln -s {victim} /srv; ln -s {victim} /opt"
    steps = (
        f"FROM base:1\nRUN {swap}\nCOPY f /srv/passwd\nADD f /opt/f\nWORKDIR /srv/deep\nRUN touch /srv/more\n"
    )
    built(daemon, context(steps, ("f", "inside")), t="swapped:1")
    assert (
        of_image(daemon, "swapped:1", f"cat {victim}/passwd {victim}/f; ls {victim}")
        == "insideinsidedeep\nf\nmore\npasswd\n"
    )


def test_a_step_has_no_privileges_and_nothing_gives_it_any(daemon: Daemon) -> None:
    """CVE-2024-23653; nor is anything fetched that a Dockerfile names as its frontend."""
    look = "grep -E 'Seccomp:|CapEff' /proc/self/status; mount -t tmpfs x /tmp 2>&1; mknod /d b 8 0; cat /d"
    steps = f"# syntax=evil.invalid/frontend\nFROM base:1\nRUN {look}; true\n"
    told = built(daemon, context(steps), networkmode="none").text
    assert "CapEff:\t00000000a80425fb" in told and "Seccomp:\t2" in told
    for flag in ("--security=insecure", "--mount=type=cache,source=../..,target=/x", "--network=host"):
        assert flag.split("=")[0] in build(daemon, context(f"FROM base:1\nRUN {flag} true\n")).error
    asked = built(
        daemon,
        context(f"FROM base:1\nRUN true; {look}; true\n"),
        privileged=1,
        capadd="ALL",
        networkmode="none",
    )
    assert "CapEff:\t00000000a80425fb" in asked.text, "no such option of the classic builder's"


def test_what_a_step_leaves_running_is_gone_with_it(daemon: Daemon, victim: Path) -> None:
    """A process that goes on swapping links would race with the steps that follow (CVE-2024-23651)."""
    swap = f"while true; do rm -rf /x; ln -s {victim} /x; rm /x; mkdir /x; done"
    steps = (
        f"FROM base:1\nRUN mkdir /x; (exec setsid sh -c '{swap}' </dev/null >/dev/null 2>&1) & sleep 0.1\n"
    )
    steps += "RUN ls /proc | grep -c '^[0-9]'\n" + "COPY f /x/f\nCOPY f /x/passwd\n"
    told = build(daemon, context(steps, ("f", "inside")), forcerm=1)
    assert told.error == "" or "cannot" in told.error
    assert daemon.docker("ps", "-q").stdout == ""


@pytest.mark.parametrize(
    "place", ["/proc/self/fd/3", "/proc/self/fd/7/../../..", "/proc/self/cwd", "/proc/1/root"]
)
def test_a_working_directory_is_no_way_out(daemon: Daemon, place: str) -> None:
    """CVE-2024-21626, in a Dockerfile; what is made instead lies in the image."""
    steps = f"FROM base:1\nWORKDIR {place}\nRUN ls ../../../../; cat ../../../../etc/shadow\n"
    told = build(daemon, context(steps), forcerm=1)
    assert "root:" not in told.text
    assert told.error


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("HEALTHCHECK CMD true", "HEALTHCHECK CMD false"),
        ("ONBUILD RUN true", "ONBUILD RUN false"),
        ("ENV a=1", "ENV a=2"),
        ("ENV a='b c=d'", "ENV a=b c=d"),
        ('CMD ["a b"]', 'CMD ["a", "b"]'),
        ("USER 1", "USER 2"),
        ("STOPSIGNAL 9", "STOPSIGNAL 10"),
    ],
)
def test_another_instruction_is_never_found_in_the_cache(daemon: Daemon, first: str, second: str) -> None:
    """CVE-2024-24557: instructions that told different things were one and the same to the cache."""
    built(daemon, context(f"FROM base:1\n{first}\n"), t="one")
    told = built(daemon, context(f"FROM base:1\n{second}\n"), t="two")
    assert told.cached == 0
    assert config_of(daemon, "one") != config_of(daemon, "two")


def test_an_image_that_came_from_elsewhere_is_no_step_of_a_build(daemon: Daemon) -> None:
    """Its history says what a Dockerfile says, from scratch, and its layer something else."""
    evil = Image([layer(("f", {}, b"evil"))], {}, ["evil:1"])
    daemon.pysup("load", stdin=docker_archive(evil), check=True)
    told = built(daemon, context("FROM scratch\nCOPY f /f\n", ("f", "good")), t="good:1")
    assert told.cached == 0
    made = daemon.pysup("create", "--name", "look", "good:1", "x", check=True).stdout.strip()
    assert b"good" in _copied(daemon, made) and b"evil" not in _copied(daemon, made)
    daemon.pysup("rm", made, check=True)


def _copied(daemon: Daemon, container: str) -> bytes:
    return daemon.pysup("cp", f"{container}:/f", "-", check=True).stdout.encode()


def test_a_context_cannot_name_what_is_the_host_s(daemon: Daemon, victim: Path) -> None:
    """Links, and names of the Dockerfile, that lead out of it; what is copied is the context's or nothing."""
    outward = tarfile.TarInfo("out")
    outward.type, outward.linkname = tarfile.SYMTYPE, str(victim)
    for steps in ("COPY out/passwd /x", "ADD out/passwd /x", "COPY --from=base:1 /../../../../etc/shadow /x"):
        told = build(daemon, context(f"FROM base:1\n{steps}\nRUN cat /x\n", outward), forcerm=1)
        assert told.error and "the host's" not in told.text and "root:" not in told.text
    for name in (f"{victim}/passwd", "../../etc/shadow", "out/passwd", "/proc/self/environ"):
        told = build(daemon, context("FROM base:1\n", outward), dockerfile=name)
        assert told.error and "the host's" not in told.error and os.environ["PATH"] not in told.error
