"""The names of a uts namespace (uts_namespaces(7)) and seccomp filters (seccomp(2))."""

from __future__ import annotations

import struct

from pysup.supervisor.kernel import libc
from pysup.supervisor.kernel.process import prctl

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_INSTRUCTION = 8
_PROGRAM = struct.Struct("@HP")
_MOST_INSTRUCTIONS = 4096
"""BPF_MAXINSNS of linux/bpf_common.h."""

_sethostname = libc.bind("sethostname", libc.c_char_p, libc.c_size_t)
_setdomainname = libc.bind("setdomainname", libc.c_char_p, libc.c_size_t)


def set_hostname(name: str) -> None:
    """sethostname(2); at most 64 bytes."""
    encoded = libc.text(name)
    libc.check(_sethostname(encoded, len(encoded)), "sethostname")


def set_domainname(name: str) -> None:
    """setdomainname(2); at most 64 bytes."""
    encoded = libc.text(name)
    libc.check(_setdomainname(encoded, len(encoded)), "setdomainname")


def load_seccomp(program: bytes) -> None:
    """Install a filter, an array of struct sock_filter. PR_SET_SECCOMP(2const).

    The caller has no_new_privs set, or CAP_SYS_ADMIN in its user namespace.
    """
    count, rest = divmod(len(program), _INSTRUCTION)
    if rest or not 0 < count <= _MOST_INSTRUCTIONS:
        raise ValueError(f"a seccomp filter of {len(program)} bytes is no array of instructions")
    memory = libc.buffer(len(program))
    memory.raw = program
    header = libc.buffer(_PROGRAM.size)
    header.raw = _PROGRAM.pack(count, libc.address(memory))
    prctl(_PR_SET_SECCOMP, "prctl PR_SET_SECCOMP", _SECCOMP_MODE_FILTER, libc.address(header))
