"""Which capabilities a container gets: docker's defaults, changed by --cap-add and --cap-drop. Pure.

What is left is still cut down to the daemon's own bounding set when the process is made (kernel/).
"""

from __future__ import annotations

from collections.abc import Iterable

_IN_ORDER = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
    "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE "
    "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ "
    "PERFMON BPF CHECKPOINT_RESTORE"
)
_DOCKERS = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE "
    "SYS_CHROOT KILL AUDIT_WRITE"
)

ALL = tuple(f"CAP_{name}" for name in _IN_ORDER.split())
"""capabilities(7), in the order of their numbers."""
DEFAULT = frozenset(f"CAP_{name}" for name in _DOCKERS.split())
"""Docker's fourteen (moby oci/caps/defaults.go)."""

_EVERY = "ALL"


def is_capability(name: str) -> bool:
    """Whether --cap-add takes it: any case, with or without CAP_, or ALL."""
    full = _full(name)
    return full == _EVERY or full in ALL


def effective(add: Iterable[str], drop: Iterable[str]) -> tuple[str, ...]:
    """The bounding set after adding and dropping, in the order of the numbers.

    ``ALL`` dropped leaves what is added by name; ``ALL`` added leaves all but what is dropped by name
    (moby oci/caps TweakCapabilities).
    """
    added, dropped = {_full(name) for name in add}, {_full(name) for name in drop}
    chosen: set[str] | frozenset[str]
    if _EVERY in added:
        chosen = set(ALL) - dropped
    elif _EVERY in dropped:
        chosen = added
    else:
        chosen = (DEFAULT - dropped) | added
    return tuple(name for name in ALL if name in chosen)


def every(add: Iterable[str], drop: Iterable[str]) -> tuple[str, ...]:
    """The bounding set of a privileged container: all but what is dropped, and what is added by name."""
    dropped = {_full(name) for name in drop}
    if _EVERY in dropped:
        return effective((name for name in add if _full(name) != _EVERY), drop)
    return tuple(name for name in ALL if name not in dropped)


def _full(name: str) -> str:
    upper = name.upper()
    return upper if upper == _EVERY or upper.startswith("CAP_") else f"CAP_{upper}"
