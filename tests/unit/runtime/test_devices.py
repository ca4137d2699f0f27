"""Which devices a container gets, and what its device cgroup allows."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.errors import StartFailed
from pysup.supervisor.runtime import devices, host_devices
from pysup.supervisor.runtime.cgroups import v2_devices
from pysup.supervisor.spec.container import HostDevice, Security

BLOCK, CHARACTER = 1, 2
MKNOD, READ, WRITE = 1, 2, 4


def run(code: bytes, kind: int, access: int, major: int, minor: int) -> int:
    """The result of a device program: an interpreter of the few eBPF instructions that occur in it."""
    steps = list(struct.iter_unpack("=BBhi", code))
    memory = struct.pack("=III", access << 16 | kind, major, minor)
    registers, at = [0] * 11, 0
    while True:
        operation, which, offset, constant = steps[at]
        target, source = which & 15, which >> 4
        at += 1
        match operation:
            case 0x61:
                (registers[target],) = struct.unpack_from("=I", memory, offset)
            case 0xBF:
                registers[target] = registers[source]
            case 0xB7:
                registers[target] = constant
            case 0x57:
                registers[target] &= constant
            case 0x77:
                registers[target] >>= constant
            case 0x55:
                at += offset if registers[target] != constant else 0
            case _:
                assert operation == 0x95, hex(operation)
                return registers[0]


def allowed(rules: tuple[str, ...], kind: int, access: int, major: int, minor: int) -> bool:
    """Documentation/admin-guide/cgroup-v1/devices.rst: all that is wanted must be in what is allowed for it."""
    given_access: dict[tuple[str, str], int] = {}
    for rule in rules:
        letter, numbers, letters = rule.split()
        bits = sum({"m": MKNOD, "r": READ, "w": WRITE}[one] for one in set(letters))
        given_access[letter, numbers] = given_access.get((letter, numbers), 0) | bits
    letters_of = {BLOCK: "ab", CHARACTER: "ac"}[kind]
    places = {f"{one}:{two}" for one in ("*", major) for two in ("*", minor)}
    return any(
        access & ~bits == 0
        for (letter, numbers), bits in given_access.items()
        if letter in letters_of and numbers in places
    )


numbers = st.sampled_from(["*", "0", "1", "3", "7", "136"])
lines = st.builds(
    "{} {}:{} {}".format, st.sampled_from("abc"), numbers, numbers, st.text("rwm", min_size=1, max_size=3)
)


@given(
    st.lists(lines, max_size=6).map(tuple),
    st.sampled_from([BLOCK, CHARACTER]),
    st.integers(1, 7),
    st.sampled_from([0, 1, 3, 7, 136, 200]),
    st.sampled_from([0, 1, 3, 7, 136, 1 << 19]),
)
def test_a_program_decides_as_version_1_does(
    rules: tuple[str, ...], kind: int, access: int, major: int, minor: int
) -> None:
    code = v2_devices.code_of(v2_devices.parse(rules))
    assert bool(run(code, kind, access, major, minor)) == allowed(rules, kind, access, major, minor)


def test_the_usual_rules() -> None:
    code = v2_devices.code_of(v2_devices.parse(devices.CGROUP_RULES))
    assert run(code, CHARACTER, READ | WRITE, 1, 3), "/dev/null"
    assert run(code, CHARACTER, READ | WRITE, 136, 7), "a terminal"
    assert run(code, BLOCK, MKNOD, 8, 0), "any node may be made"
    assert not run(code, BLOCK, READ, 8, 0), "but not opened"
    assert not run(code, CHARACTER, READ, 1, 1), "/dev/mem"
    assert not run(code, CHARACTER, READ | MKNOD, 10, 200)


# -- what is found -------------------------------------------------------------------------------------------


def test_nothing_is_looked_at_for_an_ordinary_container() -> None:
    assert host_devices.find(Security(), "container web") == ()
    assert devices.cgroup_rules(Security(), ()) == devices.CGROUP_RULES


def test_a_privileged_container_gets_the_host_s_devices() -> None:
    found = {node.target: node for node in host_devices.find(Security(privileged=True), "container web")}
    assert "/dev/null" not in found, "one of the usual ones"
    assert not any(path.startswith(("/dev/pts/", "/dev/shm/")) or path == "/dev/console" for path in found)
    wanted = {
        str(path)
        for path in Path("/dev").iterdir()
        if not path.is_symlink() and (path.is_block_device() or path.is_char_device())
    }
    usual = {f"/dev/{node.name}" for node in devices.NODES} | {"/dev/console", "/dev/ptmx"}
    assert wanted - usual <= set(found)
    assert devices.cgroup_rules(Security(privileged=True), tuple(found.values())) == ("a *:* rwm",)


def test_devices_that_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "bus").mkdir()
    os.mknod(tmp_path / "bus" / "one", 0o60640, os.makedev(7, 3))
    os.mknod(tmp_path / "bus" / "two", 0o20600, os.makedev(1, 3))
    (tmp_path / "bus" / "one").chmod(0o640)  # whatever the umask is
    os.chown(tmp_path / "bus" / "one", 0, 6)
    (tmp_path / "bus" / "link").symlink_to("two")
    (tmp_path / "bus" / "file").touch()
    (tmp_path / "by-name").symlink_to("bus/one")
    asked = (HostDevice(f"{tmp_path}/bus", "/dev/bus"), HostDevice(f"{tmp_path}/by-name", "/dev/x", "r"))
    found = host_devices.find(Security(devices=asked), "container web")
    assert {node.target: node.rule for node in found} == {
        "/dev/bus/one": "b 7:3 rwm",
        "/dev/bus/two": "c 1:3 rwm",
        "/dev/x": "b 7:3 r",
    }
    assert (found[0].gid, stat.S_IMODE(found[0].mode)) == (6, 0o640)
    security = Security(devices=asked, device_rules=("c 42:* rmw",))
    assert devices.cgroup_rules(security, found)[-4:] == ("b 7:3 rwm", "c 1:3 rwm", "b 7:3 r", "c 42:* rmw")


@pytest.mark.parametrize(
    ("name", "cause"),
    [("none", "no such file or directory"), ("file", "no such device"), ("empty", "no such device")],
)
def test_what_is_no_device(tmp_path: Path, name: str, cause: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    asked = (HostDevice(f"{tmp_path}/{name}", "/dev/x"),)
    with pytest.raises(StartFailed, match=f"cannot start container web: device {tmp_path}/{name}: {cause}"):
        host_devices.find(Security(devices=asked), "container web")
