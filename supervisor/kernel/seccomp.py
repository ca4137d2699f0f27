"""System call filters: seccomp(2)."""

from __future__ import annotations

import os
import struct

from pysup.supervisor.kernel import libc, numbers

FILTER_FLAG_LOG = 2
FILTER_FLAG_SPEC_ALLOW = 4
"""Without it, kernels before 5.16 slow the process down (Speculative Store Bypass)."""

_SET_MODE_FILTER = 1
_INSTRUCTION = 8
_MOST_INSTRUCTIONS = 4096
"""BPF_MAXINSNS of linux/bpf_common.h."""
_PROGRAM = struct.Struct("@HP")
_LARGEST = _MOST_INSTRUCTIONS * _INSTRUCTION
_memory = libc.buffer(_LARGEST)
_MEMORY_AT = libc.address(_memory)
_view = memoryview(_memory).cast("B")


def load(fd: int, flags: int = 0) -> None:
    """Install the filter that a file holds, an array of struct sock_filter, for ever.

    The caller has no_new_privs set, or CAP_SYS_ADMIN in its user namespace. Raises ValueError for what is no filter.
    """
    size = os.preadv(fd, [_view], 0)
    if size != os.fstat(fd).st_size or size % _INSTRUCTION or not size:
        raise ValueError(f"a seccomp filter of {os.fstat(fd).st_size} bytes is no array of instructions")
    header = _PROGRAM.pack(size // _INSTRUCTION, _MEMORY_AT)
    libc.syscall(numbers.SECCOMP, "seccomp", _SET_MODE_FILTER, flags, header)
