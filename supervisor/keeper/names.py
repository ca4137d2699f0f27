"""Users and groups from the text of passwd(5) and group(5), read by hand.

Not by the pwd and grp modules: they go through NSS, which loads libraries; inside a container those would
be the container's own code (CVE-2019-14271).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from pysup.supervisor.kernel import mounts, paths

PASSWD = "/etc/passwd"  # noqa: S105
GROUP = "/etc/group"
MAX_FILE = 4 << 20
MAX_ID = (1 << 31) - 1
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class UnknownName(Exception):
    """A user or group that is neither in the files nor a number in range."""


class Identity(NamedTuple):
    """Who a process is to be."""

    uid: int
    gid: int
    groups: list[int]
    home: str


def read(path: str) -> str:
    """The text of a file of the caller's own root; empty if it is missing or no regular file."""
    try:
        fd = os.open(path, _READ)
    except OSError:
        return ""
    return _text(fd)


def read_in(root: int, path: str) -> str:
    """The same below a root directory's descriptor, which no link can leave; -1 means the caller's own root.

    For a process under the container's devices controller, which judges the opening of a device: outside, whoever
    opens must look first (engine/files/opening.py). It cannot here, by /proc: that may be the container's already.
    """
    if root < 0:
        return read(path)
    try:
        fd = mounts.openat2(root, path, _READ, resolve=paths.INSIDE)
    except OSError:
        return ""
    return _text(fd)


def _text(fd: int) -> str:
    """Read and close. A FIFO or a device in the file's place must not block us."""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return os.pread(fd, MAX_FILE, 0).decode("utf-8", "surrogateescape")
    finally:
        os.close(fd)


def _records(text: str, fields: int, wanted: str) -> Iterator[list[str]]:
    """The lines that have the wanted text anywhere, as fields."""
    for line in text.split("\n"):
        if wanted not in line:
            continue
        record = line.strip().split(":")
        if len(record) >= fields and not line.startswith("#"):
            yield record


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID)) else -1


def group_id(name: str, text: str | None = None) -> int | None:
    """The id of a group by name or number in group(5), the host's by default; None if it is not there."""
    for record in _records(read(GROUP) if text is None else text, 3, name):
        if (record[0] == name or record[2] == name) and _number(record[2]) >= 0:
            return _number(record[2])
    return None


def identify(user: str, extra_groups: list[str], passwd: str, group: str) -> Identity:
    """Who ``name|uid[:group|gid]`` is, as docker decides it (moby/sys user.GetExecUser). Raises UnknownName.

    A group that is given replaces the groups that the user is a member of. The primary group is always
    among the supplementary ones, so that a process cannot shed it (CVE-2022-36109).
    """
    wanted, _, wanted_group = user.partition(":")
    name, uid, gid, home = _user(wanted or "0", passwd)
    if wanted_group:
        gid = _group(wanted_group, group)
    members = [] if wanted_group or not name else _member_of(name, group)
    groups = [gid, *members, *(_group(item, group) for item in extra_groups)]
    return Identity(uid, gid, list(dict.fromkeys(groups)), home)


def _user(wanted: str, passwd: str) -> tuple[str, int, int, str]:
    """(name, uid, gid, home); a number needs no line in the file."""
    for record in _records(passwd, 4, wanted):
        if record[0] == wanted or record[2] == wanted:
            uid, gid = _number(record[2]), _number(record[3])
            if 0 <= uid <= MAX_ID and 0 <= gid <= MAX_ID:
                return record[0], uid, gid, "".join(record[5:6])
    uid = _number(wanted)
    if not 0 <= uid <= MAX_ID:
        raise UnknownName(f"unable to find user {wanted}: no matching entries in passwd file")
    return "", uid, 0, ""


def _group(wanted: str, group: str) -> int:
    found = group_id(wanted, group)
    gid = _number(wanted) if found is None else found
    if not 0 <= gid <= MAX_ID:
        raise UnknownName(f"unable to find group {wanted}: no matching entries in group file")
    return gid


def _member_of(name: str, group: str) -> list[int]:
    return [
        _number(record[2])
        for record in _records(group, 4, name)
        if name in record[3].split(",") and 0 <= _number(record[2]) <= MAX_ID
    ]
