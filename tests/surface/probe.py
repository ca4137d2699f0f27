"""Runs inside a container (standard library only): prints, as JSON, what there is to attack.

Only what an engine decides is told, not what a machine happens to have: no sources of mounts, no counts, and a path
that is masked is as hidden as one that the kernel does not have.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import re
import signal
import socket
import stat
import sys

SENSITIVE = (
    *("/proc/acpi", "/proc/asound", "/proc/config.gz", "/proc/interrupts", "/proc/iomem"),
    *("/proc/ioports", "/proc/kallsyms", "/proc/kcore", "/proc/key-users", "/proc/keys"),
    *("/proc/kmsg", "/proc/latency_stats", "/proc/mtrr", "/proc/sched_debug", "/proc/scsi"),
    *("/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats", "/proc/vmallocinfo"),
    *("/sys/bus", "/sys/class", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/bpf"),
    *("/sys/fs/pstore", "/sys/kernel/debug", "/sys/kernel/security", "/sys/kernel/tracing"),
    *("/sys/kernel/vmcoreinfo", "/sys/module", "/sys/power"),
    "/sys/devices/system/cpu/cpu0/thermal_throttle",
    *("/dev/mem", "/dev/kmsg", "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/mapper/control"),
    *("/dev/cpu", "/dev/input"),
)
"""Files and directories of the host's that engines hide, or had better hide."""
FAMILIES = {
    "unix": 1,
    "inet": 2,
    "inet6": 10,
    "netlink": 16,
    "packet": 17,
    "alg": 38,
    "vsock": 40,
    "tipc": 30,
}
NOT_CALLED = frozenset(
    (15, 34, 35, 56, 57, 58, 59, 60, 61, 62, 130, 162, 200, 219, 231, 234, 247, 322, 335, 336, 435)
)
"""x86-64: what would end or stop the probe (exit, kill, pause, clone, wait, sync, …), and numbers filters never see."""
CALLS = (*range(335), *range(424, 452))


def _lines(path: str) -> list[str]:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


def status() -> dict[str, str]:
    """Of this process: ids, capabilities, filter."""
    lines = dict(line.split(":", 1) for line in _lines("/proc/self/status"))
    wanted = (
        "Uid",
        "Gid",
        "Groups",
        "NSpid",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
    )
    found = {name: " ".join(lines[name].split()) for name in wanted}
    found["NSpid"] = str(len(found["NSpid"].split()))
    return found


def mounts() -> dict[str, str]:
    """Type and flags by mount point; the hierarchies of cgroup v1 count as one."""
    found: dict[str, str] = {}
    for line in _lines("/proc/self/mountinfo"):
        words = line.split()
        kind = words[words.index("-") + 1]
        flags = [flag for flag in words[5].split(",") if flag in ("ro", "rw", "nosuid", "nodev", "noexec")]
        point = re.sub(r"^/sys/fs/cgroup(/.*)?$", "/sys/fs/cgroup", words[4])
        if point in ("/", "/usr", "/probe.py") or point.startswith(("/etc/", "/run/")):
            kind = "file system"
        if kind.startswith("cgroup") or point == "/sys/fs/cgroup":
            kind = "cgroup"
        if point.startswith(("/proc/", "/sys/")) and kind != "cgroup":
            continue  # masks: told by what is hidden and what can be written
        found[point] = " ".join([kind, *flags])
    return dict(sorted(found.items()))


def devices() -> dict[str, str]:
    """Everything in /dev that is no directory: kind, number, mode, and whether it can be opened."""
    found = {}
    for top, directories, files in os.walk("/dev"):
        directories[:] = [
            name for name in directories if os.path.join(top, name) not in ("/dev/shm", "/dev/mqueue")
        ]
        for name in files:
            path = os.path.join(top, name)
            if not re.fullmatch(r"/dev/pts/\d+", path):
                found[path] = _device(path)
    return dict(sorted(found.items()))


def _device(path: str) -> str:
    info = os.lstat(path)
    if stat.S_ISLNK(info.st_mode):
        return "-> " + os.readlink(path)
    kind = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}.get(stat.S_IFMT(info.st_mode), "?")
    return f"{kind} {os.major(info.st_rdev)}:{os.minor(info.st_rdev)} {stat.S_IMODE(info.st_mode):04o}"


def makes_devices() -> dict[str, str]:
    """Nodes that a container may make, opened: memory, the kernel's log, a disk, fuse, tun."""
    found = {}
    for name, kind, number in (
        ("mem", stat.S_IFCHR, (1, 1)),
        ("kmsg", stat.S_IFCHR, (1, 11)),
        ("loop0", stat.S_IFBLK, (7, 0)),
        ("sda", stat.S_IFBLK, (8, 0)),
        ("fuse", stat.S_IFCHR, (10, 229)),
        ("tun", stat.S_IFCHR, (10, 200)),
        ("null", stat.S_IFCHR, (1, 3)),
    ):
        path = f"/tmp-{name}"
        try:
            os.mknod(path, kind | 0o600, os.makedev(*number))
            os.close(os.open(path, os.O_RDWR))
            found[name] = "opens"
        except OSError as error:
            found[name] = "refused" if error.errno in (errno.EPERM, errno.EACCES) else "refused by the driver"
        if os.path.lexists(path):
            os.unlink(path)
    return found


def readable() -> list[str]:
    """Which of SENSITIVE can be read and hold anything."""
    return [path for path in SENSITIVE if _has_content(path)]


def _has_content(path: str) -> bool:
    try:
        if os.path.isdir(path):
            return bool(os.listdir(path))
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return bool(os.read(fd, 1))
    except OSError:
        return False
    finally:
        os.close(fd)


def writable() -> list[str]:
    """Files of /proc and /sys that somebody may write to, and that open for it: not those of processes."""
    found = []
    for place in ("/proc", "/sys"):
        for top, directories, files in os.walk(place):
            if top == "/proc":
                directories[:] = [
                    name for name in directories if not (name.isdigit() or name in ("self", "thread-self"))
                ]
            found += [path for path in (os.path.join(top, name) for name in files) if _opens(path)]
    return sorted({re.sub(r"/cpu\d+/", "/cpu*/", path) for path in found})


def _opens(path: str) -> bool:
    try:
        mode = os.lstat(path).st_mode
        if not stat.S_ISREG(mode) or not mode & 0o222:
            return False
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def sockets() -> dict[str, object]:
    """Socket families that a filter or the kernel gives, and the abstract names of others that can be reached."""
    families = {}
    for name, family in FAMILIES.items():
        kind = (
            socket.SOCK_SEQPACKET
            if name == "alg"
            else socket.SOCK_RAW
            if name in ("netlink", "packet")
            else socket.SOCK_STREAM
        )
        try:
            socket.socket(family, kind).close()
            families[name] = "works"
        except OSError as error:
            families[name] = "refused" if error.errno in (errno.EPERM, errno.EACCES) else "not there"
    abstract = [line.split()[-1] for line in _lines("/proc/net/unix") if "@" in line]
    interfaces = sorted(name for _, name in socket.if_nameindex())
    return {"families": families, "abstract": abstract, "interfaces": interfaces}


def leaks() -> dict[str, object]:
    """What a set-up could leave behind."""
    fds = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    return {
        "descriptors": [fd for fd in fds if fd > 2][:-1],
        "cwd": os.getcwd(),
        "environment": sorted(set(os.environ) - {"LC_CTYPE"}),
        "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
        "other users' files in /": [name for name in os.listdir("/") if os.lstat("/" + name).st_uid],
    }


def denied_calls() -> list[int]:
    """System calls that answer EPERM or ENOSYS to arguments that no call takes: a filter, or a missing capability."""
    if platform.machine() != "x86_64":
        return []
    return [number for number in CALLS if number not in NOT_CALLED and _is_denied(number)]


def _is_denied(number: int) -> bool:
    pid = os.fork()
    if pid == 0:
        signal.alarm(1)
        libc = ctypes.CDLL(None, use_errno=True)
        libc.syscall.argtypes = [ctypes.c_long] * 7
        libc.syscall.restype = ctypes.c_long
        result = libc.syscall(number, -1, -1, -1, -1, -1, -1)
        os._exit(1 if result == -1 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS) else 0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def surface() -> dict[str, object]:
    """Everything."""
    return {
        "status": status(),
        "leaks": leaks(),
        "mounts": mounts(),
        "devices": devices(),
        "devices it makes": makes_devices(),
        "readable": readable(),
        "writable": writable(),
        "sockets": sockets(),
        "denied calls": denied_calls(),
    }


if __name__ == "__main__":
    json.dump(surface(), sys.stdout, indent=1)
    print()
