"""Capability sets (capabilities(7)): capset(2), capget(2) and the bounding and ambient sets by prctl(2)."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable

from pysup.supervisor.kernel import libc
from pysup.supervisor.kernel.process import prctl

_IN_ORDER = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
    "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
NAMES = {f"CAP_{name}": number for number, name in enumerate(_IN_ORDER.split())}
"""Every capability that capabilities(7) knows, with its number."""

_VERSION_3 = 0x20080522
_HEADER = struct.Struct("=Ii")
_SETS = struct.Struct("=6I")
_sets = libc.buffer(_SETS.size)
_LIMIT = 64

_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_capset = libc.bind("capset", libc.c_void_p, libc.c_void_p)
_capget = libc.bind("capget", libc.c_void_p, libc.c_void_p)


def own_bounding() -> frozenset[int]:
    """The caller's bounding set. PR_CAPBSET_READ(2const)."""
    return frozenset(number for number in range(last_cap() + 1) if _in_bounding(number) == 1)


@functools.cache
def last_cap() -> int:
    """The highest capability that this kernel knows; found without /proc."""
    number = len(NAMES)
    while number < _LIMIT and _in_bounding(number) is not None:
        number += 1
    while number > 0 and _in_bounding(number - 1) is None:
        number -= 1
    return number - 1


def _in_bounding(number: int) -> int | None:
    """1 or 0, None for a capability that the kernel does not know."""
    try:
        return prctl(_PR_CAPBSET_READ, "prctl PR_CAPBSET_READ", number)
    except libc.KernelError:
        return None


def drop_bounding(numbers: Iterable[int]) -> None:
    """Take capabilities out of the bounding set, for ever. PR_CAPBSET_DROP(2const)."""
    for number in numbers:
        prctl(_PR_CAPBSET_DROP, "prctl PR_CAPBSET_DROP", number)


def ambient_clear() -> None:
    """Empty the ambient set. PR_CAP_AMBIENT(2const)."""
    prctl(_PR_CAP_AMBIENT, "prctl PR_CAP_AMBIENT", _PR_CAP_AMBIENT_CLEAR_ALL)


def permitted() -> frozenset[int]:
    """The caller's permitted set. capget(2)."""
    libc.check(_capget(_HEADER.pack(_VERSION_3, 0), _sets), "capget")
    low, high = _SETS.unpack_from(_sets)[1::3]
    mask = low | high << 32
    return frozenset(number for number in range(_LIMIT) if mask >> number & 1)


def set_caps(permitted: Iterable[int], effective: Iterable[int], inheritable: Iterable[int]) -> None:
    """Set the caller's three classic sets, by number. capset(2)."""
    halves = [_halves(numbers) for numbers in (effective, permitted, inheritable)]
    sets = _SETS.pack(*(half[0] for half in halves), *(half[1] for half in halves))
    libc.check(_capset(_HEADER.pack(_VERSION_3, 0), sets), "capset")


def _halves(numbers: Iterable[int]) -> tuple[int, int]:
    mask = sum(1 << number for number in set(numbers))
    return mask & 0xFFFFFFFF, mask >> 32
