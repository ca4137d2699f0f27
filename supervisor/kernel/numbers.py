"""Numbers of system calls that libc has no function for, where they differ between architectures.

From Linux 5.1 on (number 424) a new call has the same one everywhere. Sources: arch/*/kernel/syscalls/*.tbl and
include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import os

_GENERIC = {"bpf": 280, "keyctl": 219, "rt_sigaction": 134, "seccomp": 277}
"""aarch64, riscv64, loongarch64."""
_OWN = {
    "x86_64": {"bpf": 321, "keyctl": 250, "rt_sigaction": 13, "seccomp": 317},
    "i386": {"bpf": 357, "keyctl": 288, "rt_sigaction": 174, "seccomp": 354},
    "i686": {"bpf": 357, "keyctl": 288, "rt_sigaction": 174, "seccomp": 354},
    "armv7l": {"bpf": 386, "keyctl": 311, "rt_sigaction": 174, "seccomp": 383},
    "ppc64": {"bpf": 361, "keyctl": 271, "rt_sigaction": 173, "seccomp": 358},
    "ppc64le": {"bpf": 361, "keyctl": 271, "rt_sigaction": 173, "seccomp": 358},
    "s390x": {"bpf": 351, "keyctl": 280, "rt_sigaction": 174, "seccomp": 348},
}
_NUMBERS = _OWN.get(os.uname().machine, _GENERIC)

BPF = _NUMBERS["bpf"]
KEYCTL = _NUMBERS["keyctl"]
RT_SIGACTION = _NUMBERS["rt_sigaction"]
SECCOMP = _NUMBERS["seccomp"]
