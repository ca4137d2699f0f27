"""What libseccomp cannot say yet: verdicts on calls that are newer than the library, put before its program. Pure.

A profile may name calls that the installed library has no number for; docker then leaves them out, and programs
get EPERM for what they may do. And calls newer than the profile itself get ENOSYS, not EPERM, so that programs fall
back to what they used before (as runc does). Since Linux 5.1 a new call has one number on all architectures.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

NUMBERS = {
    "cachestat": 451, "fchmodat2": 452, "map_shadow_stack": 453, "futex_wake": 454, "futex_wait": 455,
    "futex_requeue": 456, "statmount": 457, "listmount": 458, "lsm_get_self_attr": 459, "lsm_set_self_attr": 460,
    "lsm_list_modules": 461, "mseal": 462, "setxattrat": 463, "getxattrat": 464, "listxattrat": 465,
    "removexattrat": 466, "open_tree_attr": 467, "file_getattr": 468, "file_setattr": 469,
}  # fmt: skip
"""Linux 6.5 to 6.17 (scripts/syscall.tbl)."""

AUDIT_ARCH_X86_64 = 0xC000003E
X32_BIT = 0x40000000

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP = 0x05  # BPF_JMP | BPF_JA
_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_GREATER = 0x25  # BPF_JMP | BPF_JGT | BPF_K
_IF_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_NUMBER, _ARCHITECTURE = 0, 4
"""Offsets in struct seccomp_data."""

_INSTRUCTION = struct.Struct("=HBBI")
Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, constant (struct sock_filter)."""


def prologue(highest: Mapping[int, int], beyond: int | None, verdicts: Mapping[int, int]) -> bytes:
    """Instructions to put before a program, which is reached by falling through.

    ``highest``: by architecture (AUDIT_ARCH_*), the last number that the profile names; a call above it gets the
    verdict ``beyond`` (None: it goes on). ``verdicts``: by number, for calls that the program does not know.
    x32, whose numbers have a bit of their own, goes on.
    """
    blocks = [_block(token, last, beyond, verdicts) for token, last in highest.items()]
    blocks = [block for block in blocks if block]
    if not blocks:
        return b""
    code: list[Instruction] = [(_LOAD, 0, 0, _ARCHITECTURE)]
    remaining = sum(map(len, blocks))
    for block in blocks:
        remaining -= len(block)
        code += [*block[:-1], (_JUMP, 0, 0, remaining)]
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in code)


def _block(token: int, last: int, beyond: int | None, verdicts: Mapping[int, int]) -> Sequence[Instruction]:
    """For one architecture; the last instruction is the jump past all blocks, which prologue() puts in."""
    tests = [
        step
        for number, verdict in sorted(verdicts.items())
        for step in ((_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, verdict))
    ]
    if tests:
        tests = [(_IF_AT_LEAST, 0, len(tests), min(verdicts)), *tests]
    if beyond is not None:
        tests = [(_IF_GREATER, 0, 1, last), (_RETURN, 0, 0, beyond), *tests]
    if not tests:
        return ()
    if token == AUDIT_ARCH_X86_64:
        tests = [(_IF_AT_LEAST, len(tests), 0, X32_BIT), *tests]
    block = [(_LOAD, 0, 0, _NUMBER), *tests, (_JUMP, 0, 0, 0)]
    return [(_IF_EQUAL, 0, len(block), token), *block]
