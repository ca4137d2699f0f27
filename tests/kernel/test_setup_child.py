"""The child between clone and exec: it keeps nothing of the keeper, and takes nothing of the container's root.

SECURITY.md's classes: leaked descriptors and working directory (CVE-2024-21626), /proc/self/exe (CVE-2019-5736), code
of the container run in the set-up (CVE-2019-14271).
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from helpers import planned
from helpers.keepers import KeeperProcess, linked

from pysup.supervisor.errors import StartFailed
from pysup.supervisor.runtime import layers, plan, rootfs, trees
from pysup.supervisor.runtime.launch import Launched, StdioPlan, launch
from pysup.supervisor.spec.container import ContainerSpec, Mount, Rootfs

pytestmark = pytest.mark.kernel

LIST_FDS = "ls -l /proc/self/fd; pwd; readlink /proc/self/cwd"


@asynccontextmanager
async def waiting(keeper: KeeperProcess, base: Path, wanted: ContainerSpec) -> AsyncIterator[Launched]:
    """A child that has done every step before its exec, and waits for the engine's word."""
    directory = base / "container"
    async with linked(keeper) as link, planned.cgroup_of(wanted.resources) as cgroup:
        rootfs.make(str(directory))
        rootfs.furnish(str(directory), wanted)
        try:
            facts = planned.facts(directory, cgroup)
            with layers.detached(wanted, facts) as attached:
                launched = await launch(
                    link,
                    what="container web",
                    key="run/web/1",
                    flags=plan.clone_flags(wanted),
                    plan=plan.build(wanted, facts),
                    stdio=StdioPlan(wanted.process.tty, open_stdin=True),
                    cgroup_fd=cgroup.fd,
                    attach=attached,
                )
            await launched.ready()
            yield launched
            await launched.abort()
        finally:
            trees.remove(str(directory))


def mapped_files(pid: int) -> set[str]:
    """Paths of all files that a process has mapped: its program and libraries (proc_pid_maps(5))."""
    lines = (line.split(maxsplit=5) for line in Path(f"/proc/{pid}/maps").read_text().splitlines())
    return {fields[5] for fields in lines if len(fields) == 6 and fields[5].startswith("/")}


async def test_the_child_has_nothing_of_the_keeper_s_and_loads_nothing(
    keeper: KeeperProcess, tmp_path: Path
) -> None:
    """At the last moment before the exec: no library of the container, no descriptor but its own, no way to look in."""
    wanted = planned.spec("true", process={"user": "daemon:adm", "cwd": "/usr"})
    async with waiting(keeper, tmp_path, wanted) as launched:
        pid = launched.process.pid
        assert mapped_files(pid) == mapped_files(keeper.process.pid)
        links = {int(entry.name): os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}
        assert all(links[number].startswith("pipe:") for number in (0, 1, 2))
        assert {link.split(":")[0] for number, link in links.items() if number > 2 and link[0] != "/"} == {
            "socket"
        }
        for number, link in links.items():
            if link.startswith("/") and not link.startswith("/memfd:pysup-"):
                found, inside = os.stat(f"/proc/{pid}/fd/{number}"), os.stat(f"/proc/{pid}/root{link}")
                assert (found.st_dev, found.st_ino) == (inside.st_dev, inside.st_ino), link
        assert os.readlink(f"/proc/{pid}/cwd") == "/usr"
        assert os.stat(f"/proc/{pid}/fd").st_uid == 0, "not dumpable: it belongs to root, not to its user"
        flags = [_flags(pid, number) for number in links if number > 2]
        assert all(flag & os.O_CLOEXEC for flag in flags)


def _flags(pid: int, number: int) -> int:
    lines = Path(f"/proc/{pid}/fdinfo/{number}").read_text().splitlines()
    return next(int(line.split()[1], 8) for line in lines if line.startswith("flags:"))


async def test_the_program_has_three_descriptors_and_a_directory_inside(
    keeper: KeeperProcess, tmp_path: Path
) -> None:
    async with linked(keeper) as link:
        command = ["python3", "-c", "import os; print(sorted(os.listdir('/proc/self/fd')), os.getcwd())"]
        done = await planned.run(link, tmp_path, planned.spec(*command, process={"cwd": "/usr/share"}))
    assert done.stdout == "['0', '1', '2', '3'] /usr/share\n", "3 is the listing's own"


@pytest.mark.parametrize("number", [3, 4, 5, 6, 7, 8, 9, 10])
async def test_a_working_directory_is_never_a_descriptor_of_the_set_up(
    keeper: KeeperProcess, tmp_path: Path, number: int
) -> None:
    """CVE-2024-21626: /proc/self/fd/N as the working directory led to the host's file system."""
    async with linked(keeper) as link:
        with pytest.raises(StartFailed, match="workdir"):
            await planned.run(
                link, tmp_path, planned.spec("true", process={"cwd": f"/proc/self/fd/{number}"})
            )


# -- a root that wants to be executed ------------------------------------------------------------------------


def poisoned(root: Path) -> Path:
    """A root file system with every module of the standard library, and what libc may load, as bait."""
    shutil.copy("/bin/busybox", root / "busybox")
    bait = "import os\nos.close(os.open('/bait/eaten', os.O_CREAT))\n"
    places = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), *filter(None, sys.path)}
    modules = [
        *sys.stdlib_module_names,
        *(f"encodings/{name}" for name in ("idna", "ascii", "latin_1", "utf_8")),
    ]
    for place in places:
        for name in modules:
            path = root / place.lstrip("/") / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(bait)
    (root / "bait").mkdir()
    etc = root / "etc"
    etc.mkdir()
    (etc / "nsswitch.conf").write_text("passwd: bait\ngroup: bait\nhosts: bait\n")
    (etc / "passwd").write_text("us\u00e9r:x:7:8::/home/\u00e9:/bin/sh\n", encoding="latin-1")
    (etc / "group").write_text("gr:x:9:us\u00e9r\n", encoding="latin-1")
    (etc / "ld.so.preload").write_text("/bait.so\n")
    return root


STARTS = [
    (["/busybox", "true"], {}, ""),
    (["/busybox", "true"], {"user": "7:9", "groups": ("gr",), "cwd": "/new/pl\u00e4ce"}, ""),
    (["/none"], {}, "exec /none: no such file"),
    (["n\u00f6ne"], {}, "not found in .PATH"),
    (["/etc"], {}, "exec /etc: permission denied"),
    (["/busybox"], {"user": "nob\u00f6dy"}, "user"),
    (["/busybox"], {"groups": ("none",)}, "user"),
    (["/busybox"], {"cwd": "/busybox"}, "workdir /busybox"),
]


@pytest.mark.parametrize(("argv", "process", "failure"), STARTS)
async def test_no_code_of_the_container_s_root_is_run(
    keeper: KeeperProcess, tmp_path: Path, argv: list[str], process: dict[str, object], failure: str
) -> None:
    """CVE-2019-14271: not by an import, not by a codec, not by the name service, whichever way a start goes."""
    root, caught = tmp_path / "image", tmp_path / "caught"
    root.mkdir()
    caught.mkdir()
    mounts = (Mount("bind", "/bait", str(caught)),)
    wanted = planned.spec(*argv, process=process, rootfs=Rootfs((str(poisoned(root)),)), mounts=mounts)
    async with linked(keeper) as link:
        if failure:
            with pytest.raises(StartFailed, match=failure):
                await planned.run(link, tmp_path, wanted)
        else:
            assert (await planned.run(link, tmp_path, wanted)).code == 0
    assert list(caught.iterdir()) == []


def test_the_bait_is_good(tmp_path: Path) -> None:
    """A program that does import from such a root is caught."""
    root = tmp_path / "image"
    root.mkdir()
    poisoned(root)
    pid = os.fork()
    if pid == 0:
        os.chroot(root)
        os.chdir("/")
        try:
            import this  # noqa: F401, PLC0415 - not imported before
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert (root / "bait" / "eaten").exists()


# -- paths that lead elsewhere -------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/proc", "/sys"])
async def test_proc_and_sys_are_not_mounted_through_a_link(
    keeper: KeeperProcess, tmp_path: Path, target: str
) -> None:
    """CVE-2019-19921: what is written to /proc must not be a file of the image or a volume."""
    root = tmp_path / "image"
    (root / "elsewhere").mkdir(parents=True)
    (root / target.lstrip("/")).symlink_to("elsewhere")
    shutil.copy("/bin/busybox", root / "busybox")
    async with linked(keeper) as link:
        with pytest.raises(StartFailed, match=f"mount .* on {target}"):
            await planned.run(link, tmp_path, planned.spec("/busybox", rootfs=Rootfs((str(root),))))


async def test_a_terminal_is_not_taken_from_a_volume(keeper: KeeperProcess, tmp_path: Path) -> None:
    """CVE-2025-52565: a volume at /dev whose ptmx and console are something else."""
    volume = tmp_path / "dev"
    (volume / "pts").mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (volume / "pts" / "ptmx").symlink_to(secret)
    (volume / "console").symlink_to(secret)
    os.mknod(volume / "ptmx", stat.S_IFCHR | 0o666, os.makedev(5, 2))
    wanted = planned.spec("true", process={"tty": True}, mounts=(Mount("bind", "/dev", str(volume)),))
    async with linked(keeper) as link:
        with pytest.raises(StartFailed, match="console"):
            await planned.run(link, tmp_path, wanted)
    assert secret.read_text() == "secret"


async def test_the_null_device_over_a_mask_is_the_host_s_own(keeper: KeeperProcess, tmp_path: Path) -> None:
    """CVE-2025-31133: /dev/null of the image, or of a volume, plays no part in a mask."""
    volume = tmp_path / "dev"
    volume.mkdir()
    (volume / "null").symlink_to("/proc/sys/kernel/core_pattern")
    script = "stat -c %t:%T /proc/interrupts; grep -c ' /proc/interrupts ' /proc/self/mountinfo"
    wanted = planned.spec("sh", "-c", script, mounts=(Mount("bind", "/dev", str(volume)),))
    async with linked(keeper) as link:
        started = await planned.run(link, tmp_path, wanted)
    assert started.stdout.split() == ["1:3", "1"]


OPEN_PROGRAM = """\
import errno, os
for flags in (os.O_WRONLY, os.O_RDWR | os.O_APPEND):
    try:
        os.open("/proc/self/exe", flags)
    except OSError as error:
        print(errno.errorcode[error.errno])
print(bool(os.statvfs("/proc/self/exe").f_flag & os.ST_RDONLY))
"""
"""Tries to write to the program that runs, which is the host's interpreter.

As long as anybody executes it that is refused as ETXTBSY (not on Linux 6.11 and 6.12); the read-only mount lasts.
"""


@pytest.mark.parametrize("script", [False, True], ids=["link", "script"])
async def test_the_keeper_s_program_cannot_be_written_by_a_container(
    keeper: KeeperProcess, tmp_path: Path, script: bool
) -> None:
    """CVE-2019-5736: a container whose program, or whose interpreter, is /proc/self/exe."""
    program = tmp_path / "program"
    program.write_text(f"#!/proc/self/exe\n{OPEN_PROGRAM}")
    program.chmod(0o755)
    argv = ["/program"] if script else ["/proc/self/exe", "/program"]
    wanted = planned.spec(*argv, mounts=(Mount("bind", "/program", str(program)),))
    before = os.stat(f"/proc/{keeper.process.pid}/exe")
    async with linked(keeper) as link:
        done = await planned.run(link, tmp_path, wanted)
    *refusals, read_only = done.stdout.split()
    assert (read_only, set(refusals) <= {"EROFS", "ETXTBSY"}, len(refusals)) == ("True", True, 2), done.stderr
    after = os.stat(f"/proc/{keeper.process.pid}/exe")
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
