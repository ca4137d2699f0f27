"""Device rules on cgroup v2: a BPF program decides, as version 1's table does."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pysup.supervisor.runtime import devices
from pysup.supervisor.runtime.cgroups import mounted
from pysup.supervisor.runtime.cgroups.v2 import Version2
from pysup.supervisor.spec.resources import Resources

pytestmark = [pytest.mark.kernel, pytest.mark.vm]

NULL, ZERO, KMSG, LOOP = ("c", 1, 3), ("c", 1, 5), ("c", 1, 11), ("b", 7, 0)


@pytest.fixture
def hierarchy() -> Iterator[tuple[Version2, str]]:
    """The version 2 hierarchy, which a machine with version 1 has, too, and a parent of a unique name in it."""
    _, unified = mounted.find()
    assert unified, "no cgroup2 is mounted"
    parent = f"pysup-test-{uuid.uuid4().hex[:12]}"
    yield Version2(unified), parent
    assert not Path(unified, parent).exists()


def opened(cgroup_fd: int, directory: Path, nodes: list[tuple[str, int, int]], flags: int) -> list[bool]:
    """Which of these devices a process of the cgroup may make and open."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        procs = os.open("cgroup.procs", os.O_WRONLY, dir_fd=cgroup_fd)
        os.write(procs, b"0")
        os.write(writer, bytes(_try(directory, node, flags) for node in nodes))
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    found = os.read(reader, 64)
    os.close(reader)
    return [bool(byte) for byte in found]


def _try(directory: Path, node: tuple[str, int, int], flags: int) -> bool:
    kind, major, minor = node
    path = directory / f"{kind}{major}-{minor}"
    try:
        if not path.exists():
            os.mknod(path, (0o060000 if kind == "b" else 0o020000) | 0o666, os.makedev(major, minor))
        os.close(os.open(path, flags | os.O_NONBLOCK))
    except PermissionError:
        return False
    except OSError as error:  # allowed, but this kernel has no driver for it
        return error.errno == errno.ENXIO
    return True


@pytest.mark.parametrize(
    ("rules", "flags", "wanted"),
    [
        (devices.CGROUP_RULES, os.O_RDWR, [True, True, False, False]),
        ((*devices.CGROUP_RULES, "b 7:* r"), os.O_RDONLY, [True, True, False, True]),
        ((*devices.CGROUP_RULES, "b 7:* r"), os.O_WRONLY, [True, True, False, False]),
        ((*devices.CGROUP_RULES, "c 1:11 w", "c 1:11 r"), os.O_RDWR, [True, True, True, False]),
        (devices.EVERY_DEVICE, os.O_RDONLY, [True, True, True, True]),
        (("c 1:3 rw", "a *:* m"), os.O_RDWR, [True, False, False, False]),
    ],
)
def test_what_may_be_opened(
    hierarchy: tuple[Version2, str], tmp_path: Path, rules: tuple[str, ...], flags: int, wanted: list[bool]
) -> None:
    version2, parent = hierarchy
    cgroup = version2.create(parent, "c", Resources(), rules)
    fd = os.open(cgroup.directory, os.O_RDONLY)
    try:
        assert opened(fd, tmp_path, [NULL, ZERO, KMSG, LOOP], flags) == wanted
    finally:
        os.close(fd)
        cgroup.discard()


def test_a_node_may_not_be_made_where_no_rule_says_so(
    hierarchy: tuple[Version2, str], tmp_path: Path
) -> None:
    version2, parent = hierarchy
    cgroup = version2.create(parent, "c", Resources(), ("c 1:3 rwm",))
    fd = os.open(cgroup.directory, os.O_RDONLY)
    try:
        assert opened(fd, tmp_path, [NULL, LOOP], os.O_RDONLY) == [True, False]
        assert [path.name for path in tmp_path.iterdir()] == ["c1-3"]
    finally:
        os.close(fd)
        cgroup.discard()
