"""The plan on a real kernel: what a container of a spec sees, may do and cannot reach."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from helpers.keepers import KeeperProcess, linked
from helpers.planned import run, running, spec

from pysup.supervisor.errors import StartFailed
from pysup.supervisor.runtime import rootfs
from pysup.supervisor.spec.container import Mount, Namespaces, Rootfs
from pysup.supervisor.spec.id_maps import IdMap

pytestmark = [pytest.mark.kernel, pytest.mark.vm]


REFUSED = 'refused() { if "$@" 2>/dev/null; then echo "was not refused: $*" >&2; exit 9; fi; }; '
"""sh -e takes no notice of ``! command``: this does."""


async def shell(keeper: KeeperProcess, base: Path, script: str, **changes: object) -> list[str]:
    """Lines that the script writes; it must not fail."""
    hidden = changes.pop("hidden", ())
    async with linked(keeper) as link:
        result = await run(link, base, spec("sh", "-ec", REFUSED + script, **changes), hidden=hidden)
    assert result.code == 0, result
    return result.stdout.splitlines()


async def test_docker_s_mounts(keeper: KeeperProcess, tmp_path: Path) -> None:
    lines = await shell(keeper, tmp_path, "cat /proc/self/mounts")
    mounts = {fields[1]: (fields[2], set(fields[3].split(","))) for fields in map(str.split, lines)}
    plain = {"nosuid", "nodev", "noexec"}
    assert mounts["/"][0] == "overlay"
    assert mounts["/proc"][0] == "proc" and plain <= mounts["/proc"][1]
    assert mounts["/dev"][0] == "tmpfs" and {"nosuid", "mode=755", "size=65536k"} <= mounts["/dev"][1]
    assert {"gid=5", "mode=620", "ptmxmode=666"} <= mounts["/dev/pts"][1]
    assert mounts["/dev/shm"][0] == "tmpfs" and plain | {"size=65536k"} <= mounts["/dev/shm"][1]
    assert mounts["/dev/mqueue"][0] == "mqueue"
    assert mounts["/sys"][0] == "sysfs" and "ro" in mounts["/sys"][1]
    assert "ro" in mounts["/sys/fs/cgroup"][1]
    assert "ro" in mounts["/proc/sys"][1]
    assert mounts["/run"][0] == mounts["/tmp"][0] == "tmpfs"


async def test_mounts_lie_on_the_ground_and_leave_the_write_layer_empty(
    keeper: KeeperProcess, tmp_path: Path
) -> None:
    """The image has one program and nothing else; a volume's place is made all the same."""
    lower, ground = tmp_path / "lower", tmp_path / "ground"
    lower.mkdir()
    shutil.copy(str(shutil.which("busybox")), lower / "busybox")
    rootfs.make_ground(str(ground))
    upper = tmp_path / "container" / "upper"
    for mounts, made in (((), []), ((Mount("bind", "/data", str(lower)),), ["data"])):
        wanted = spec("/busybox", "true", rootfs=Rootfs((str(lower),)), mounts=mounts)
        async with linked(keeper) as link, running(link, tmp_path, wanted, ground=str(ground)):
            assert [path.name for path in upper.rglob("*")] == made
    assert sorted(path.name for path in ground.iterdir()) == ["dev", "etc", "proc", "sys"]
    assert all(file.read_bytes() == b"" for file in (ground / "etc").iterdir())


async def test_cgroups_as_the_container_sees_them(keeper: KeeperProcess, tmp_path: Path) -> None:
    """Its own cgroup is the root of each hierarchy, and nothing there can be written (CVE-2022-0492)."""
    script = (
        "grep -v 0::/ /proc/self/cgroup | cut -d: -f3 | sort -u; cd /sys/fs/cgroup; "
        "cat cgroup.procs */cgroup.procs 2>/dev/null | sort -nu | head -1; "
        "refused mkdir x; refused mkdir memory/x; ls"
    )
    lines = await shell(keeper, tmp_path, script)
    assert lines[0] in ("/", "1") and "1" in lines[:2]
    assert "x" not in lines


async def test_the_daemon_is_invisible(keeper: KeeperProcess, tmp_path: Path) -> None:
    secret = tmp_path / "root"
    (secret / "containers").mkdir(parents=True, exist_ok=True)
    assert secret.is_dir()
    script = f"ls -A {tmp_path}/root; echo end; refused touch {tmp_path}/root/x"
    # tmp_path lies in /tmp, which is fresh: so hide what is not.
    lines = await shell(
        keeper, tmp_path, script.replace(f"{tmp_path}/root", "/usr/share"), hidden=("/usr/share",)
    )
    assert lines == ["end"]


async def test_names_and_network(keeper: KeeperProcess, tmp_path: Path) -> None:
    script = (
        "hostname; cat /etc/hostname; grep -c localhost /etc/hosts; ls /sys/class/net; "
        "cat /proc/sys/kernel/domainname"
    )
    lines = await shell(keeper, tmp_path, script, domainname="example.org")
    assert lines == ["box", "box", "2", "lo", "example.org"]


async def test_sysctls_are_the_container_s(keeper: KeeperProcess, tmp_path: Path) -> None:
    before = Path("/proc/sys/kernel/msgmax").read_text()
    sysctls = (("kernel.msgmax", "4096"), ("net.ipv4.ip_forward", "1"))
    lines = await shell(
        keeper, tmp_path, "cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward", sysctls=sysctls
    )
    assert lines == ["4096", "1"]
    assert Path("/proc/sys/kernel/msgmax").read_text() == before


async def test_volumes(keeper: KeeperProcess, tmp_path: Path) -> None:
    """Parents first, a user's mount instead of a default one, read-only binds, a missing source made."""
    source, made = tmp_path / "source", tmp_path / "made"
    source.mkdir()
    (source / "file").write_text("content\n")
    mounts = (
        Mount("bind", "/data/inner", str(source), read_only=True),
        Mount("tmpfs", "/data", options=("size=1m",)),
        Mount("bind", "/made", str(made), create_source=True),
        Mount("tmpfs", "/run", options=("nosuid", "exec", "mode=700")),
        Mount("bind", "/etc/hosts", str(source / "file")),
    )
    script = (
        "cat /data/inner/file /etc/hosts; refused touch /data/inner/x; touch /data/y /made/z; "
        "stat -c %a /run /data; grep -c ' /run ' /proc/self/mounts"
    )
    lines = await shell(keeper, tmp_path, script, mounts=mounts)
    assert lines == ["content", "content", "700", "1777", "1"]
    assert (made / "z").exists()


async def test_read_only_root(keeper: KeeperProcess, tmp_path: Path) -> None:
    script = "refused touch /x; refused touch /etc/hosts; touch /dev/shm/y /tmp/z; pwd"
    lines = await shell(
        keeper, tmp_path, script, rootfs=Rootfs(("/",), read_only=True), process={"cwd": "/new/place"}
    )
    assert lines == ["/new/place"]


async def test_masks_and_devices(keeper: KeeperProcess, tmp_path: Path) -> None:
    script = (
        "refused sh -c 'head -c1 /proc/kcore | grep -q .'; "
        "ls -A /sys/firmware /proc/scsi 2>/dev/null | grep -v : | grep . ; "
        "refused sh -c 'echo 1 >/proc/sys/kernel/core_pattern'; stat -c '%n %a %t:%T' /dev/null /dev/zero; "
        "mknod /root/vda b 254 0; refused head -c1 /root/vda; readlink /dev/ptmx"
    ).replace("| grep . ; ", "| grep . || true; ")
    lines = await shell(keeper, tmp_path, script)
    assert lines == ["/dev/null 666 1:3", "/dev/zero 666 1:5", "pts/ptmx"]


async def test_init_reaps_and_forwards(keeper: KeeperProcess, tmp_path: Path) -> None:
    lines = await shell(keeper, tmp_path, "tr '\\0' ' ' < /proc/1/cmdline", init=True)
    assert lines[0].startswith("/sbin/docker-init -- sh -ec")


async def test_host_namespaces(keeper: KeeperProcess, tmp_path: Path) -> None:
    spaces = Namespaces(pid="host", ipc="host", uts="host", net="host", cgroup="host")
    names = ("pid", "ipc", "uts", "net", "cgroup")
    links = " ".join(f"/proc/self/ns/{name}" for name in names)
    lines = await shell(
        keeper,
        tmp_path,
        f"readlink {links}; cat /etc/hostname; ls /sys/fs/cgroup | head -1",
        namespaces=spaces,
    )
    assert lines[:5] == [os.readlink(f"/proc/self/ns/{name}") for name in names]
    assert lines[5] == os.uname().nodename
    assert lines[6:]


@pytest.mark.parametrize(
    ("maps", "root"),
    [((IdMap(0, 0, 65536),), 0), ((IdMap(0, 100000, 65536),), 100000)],
    ids=["same", "mapped"],
)
@pytest.mark.parametrize("net", ["none", "host"])
async def test_user_namespace(
    keeper: KeeperProcess, tmp_path: Path, maps: tuple[IdMap, ...], root: int, net: str
) -> None:
    """Root inside, with its capabilities, is this id outside; the write layer and the mounts are its own."""
    spaces = Namespaces(user="private", uid_maps=maps, gid_maps=maps, net=net)
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("content\n")
    os.chmod(tmp_path, 0o700)
    script = (
        "id -u; cat /proc/self/uid_map | tr -s ' '; mkdir /made; stat -c %u /made /tmp; echo a >/dev/null; "
        "cat /data/file; touch /dev/shm/x; hostname; ls /sys/class/net | grep -x lo; id -G; echo hi >> /etc/hosts; "
        "ls /dev/mqueue; readlink /dev/fd; "
        "cat /sys/fs/cgroup/cgroup.controllers /sys/fs/cgroup/pids/pids.max | grep -c .;"
        "sleep 0"
    )
    mounts = (Mount("bind", "/data", str(source)),)
    lines = await shell(keeper, tmp_path, script + " 2>&1", namespaces=spaces, mounts=mounts)
    assert lines == ["0", f" 0 {root} 65536", "0", "0", "content", "box", "lo", "0", "/proc/self/fd", "1"]


async def test_missing_source_is_named(keeper: KeeperProcess, tmp_path: Path) -> None:
    failure = pytest.RaisesExc(StartFailed, match="bind /nowhere on /x: no such file")
    with pytest.RaisesGroup(failure, flatten_subgroups=True):
        await shell(keeper, tmp_path, "true", mounts=(Mount("bind", "/x", "/nowhere"),))
