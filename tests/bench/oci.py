"""Bundles for runc and crun that give a container what docker's defaults give it (OCI runtime-spec, config.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROFILES = ("/usr/share/containers/seccomp.json", "/etc/containers/seccomp.json")
"""Docker's default profile, as podman brings it along."""
CAPABILITIES = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
    "CAP_AUDIT_WRITE",
]  # fmt: skip
_MASKED = [
    "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
]  # fmt: skip
_READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
_SAFE = ["nosuid", "nodev", "noexec"]
_ARCHITECTURE = "amd64"


def seccomp() -> dict[str, Any] | None:
    """Docker's profile with its conditions decided for the default capabilities; None if there is none here."""
    path = next((Path(name) for name in PROFILES if Path(name).exists()), None)
    if path is None:
        return None
    profile = json.loads(path.read_text())
    kept = ("names", "action", "args", "errnoRet")
    return {
        "defaultAction": profile["defaultAction"],
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [
            {key: rule[key] for key in kept if rule.get(key) is not None}
            for rule in profile["syscalls"]
            if _applies(rule)
        ],
    }


def _applies(rule: dict[str, Any]) -> bool:
    wanted, unwanted = rule.get("includes") or {}, rule.get("excludes") or {}
    capabilities, architectures = set(CAPABILITIES), {_ARCHITECTURE}
    return (
        set(wanted.get("caps") or ()) <= capabilities
        and (not wanted.get("arches") or bool(architectures & set(wanted["arches"])))
        and not capabilities & set(unwanted.get("caps") or ())
        and not architectures & set(unwanted.get("arches") or ())
    )


def write_bundle(
    directory: Path,
    rootfs: Path,
    args: Sequence[str],
    *,
    filtered: bool,
    binds: Sequence[tuple[str, str]] = (),
) -> Path:
    """A bundle whose one process is ``args``; the root is writable, but no overlay is made for it."""
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(_config(rootfs, args, filtered=filtered, binds=binds)))
    return directory


def _config(
    rootfs: Path, args: Sequence[str], *, filtered: bool, binds: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    linux: dict[str, Any] = {
        "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
        "maskedPaths": _MASKED,
        "readonlyPaths": _READ_ONLY,
        "resources": {
            "devices": [{"allow": False, "access": "rwm"}],
            "memory": {"limit": 256 << 20},
            "pids": {"limit": 512},
        },
    }
    profile = seccomp() if filtered else None
    if profile is not None:
        linux["seccomp"] = profile
    sets = ("bounding", "effective", "permitted")
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": list(args),
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": dict.fromkeys(sets, CAPABILITIES),
        },
        "root": {"path": str(rootfs), "readonly": False},
        "hostname": "bench",
        "mounts": [*_mounts(), *(_bind(source, target) for source, target in binds)],
        "linux": linux,
    }


def _mounts() -> list[dict[str, Any]]:
    rows: list[tuple[str, str, list[str]]] = [
        ("/proc", "proc", _SAFE),
        ("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        ("/dev/shm", "tmpfs", [*_SAFE, "mode=1777", "size=65536k"]),
        ("/dev/mqueue", "mqueue", _SAFE),
        ("/sys", "sysfs", [*_SAFE, "ro"]),
        ("/sys/fs/cgroup", "cgroup", [*_SAFE, "relatime", "ro"]),
    ]
    return [
        {"destination": target, "type": kind, "source": kind, "options": options}
        for target, kind, options in rows
    ]


def _bind(source: str, target: str) -> dict[str, Any]:
    return {"destination": target, "type": "bind", "source": source, "options": ["rbind", "rw"]}
