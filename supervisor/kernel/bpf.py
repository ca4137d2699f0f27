"""Programs that decide on devices for a cgroup of version 2: bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE."""

from __future__ import annotations

import struct

from pysup.supervisor.kernel import libc, numbers

_PROG_LOAD = 5
_PROG_ATTACH = 8
_PROG_TYPE_CGROUP_DEVICE = 15
_CGROUP_DEVICE = 6
_F_ALLOW_MULTI = 2
"""Programs of the cgroups above decide, too: all must allow."""
_LICENSE = b"GPL\0"
_ATTR_SIZE = 128
_LOAD = struct.Struct("=IIQQ")
_ATTACH = struct.Struct("=IIII")
_INSTRUCTION = 8


def load_device_program(code: bytes) -> int:
    """A descriptor (close-on-exec) of a program, an array of struct bpf_insn. Raises KernelError."""
    memory, license_text = libc.buffer_of(code), libc.buffer_of(_LICENSE)
    request = _LOAD.pack(
        _PROG_TYPE_CGROUP_DEVICE, len(code) // _INSTRUCTION, libc.address(memory), libc.address(license_text)
    )
    return libc.syscall(numbers.BPF, "bpf", _PROG_LOAD, request.ljust(_ATTR_SIZE, b"\0"), _ATTR_SIZE)


def attach_device_program(cgroup_fd: int, program_fd: int) -> None:
    """Let a program decide for a cgroup, until that is removed. Raises KernelError."""
    request = _ATTACH.pack(cgroup_fd, program_fd, _CGROUP_DEVICE, _F_ALLOW_MULTI)
    libc.syscall(numbers.BPF, "bpf", _PROG_ATTACH, request.ljust(_ATTR_SIZE, b"\0"), _ATTR_SIZE)
