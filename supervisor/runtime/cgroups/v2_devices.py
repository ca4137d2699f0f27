"""Device rules for a cgroup of version 2: a BPF program made of lines in the form of devices.allow.

What version 1 decides by a table, version 2 asks a program for, with struct bpf_cgroup_dev_ctx (linux/bpf.h): kind
and access in one word, major, minor. 1 allows, 0 denies. See cgroup-v2.rst, Device controller.
"""

from __future__ import annotations

import os
import struct
import weakref
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.kernel import bpf
from pysup.supervisor.kernel.libc import KernelError

_KINDS = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_ALL = 7

_INSTRUCTION = struct.Struct("=BBhi")
"""struct bpf_insn: code, registers (source << 4 | destination), jump, constant."""
_LOAD = 0x61  # BPF_LDX | BPF_MEM | BPF_W
_COPY = 0xBF  # BPF_ALU64 | BPF_MOV | BPF_X
_SET = 0xB7  # BPF_ALU64 | BPF_MOV | BPF_K
_AND = 0x57  # BPF_ALU64 | BPF_AND | BPF_K
_SHIFT = 0x77  # BPF_ALU64 | BPF_RSH | BPF_K
_UNLESS_EQUAL = 0x55  # BPF_JMP | BPF_JNE | BPF_K
_EXIT = 0x95
_RESULT, _CONTEXT, _KIND, _WANTED, _MAJOR, _MINOR = range(6)

Instruction = tuple[int, int, int, int]


class Rule(NamedTuple):
    """What is allowed for one device, or a set of them; None stands for all."""

    kind: int | None
    major: int | None
    minor: int | None
    access: int


class Program:
    """A loaded program; the descriptor lives as long as this object, the program as long as a cgroup has it."""

    def __init__(self, code: bytes) -> None:
        self.fd = bpf.load_device_program(code)
        weakref.finalize(self, os.close, self.fd)


@lru_cache(maxsize=64)
def program(rules: tuple[str, ...]) -> Program:
    """The program for these rules, loaded once. Raises Unavailable."""
    try:
        return Program(code_of(parse(rules)))
    except KernelError as error:
        raise Unavailable(f"cannot restrict devices (cgroup v2): {error}") from error


def restrict(cgroup_fd: int, rules: tuple[str, ...]) -> None:
    """Put the rules in force. Raises Unavailable."""
    try:
        bpf.attach_device_program(cgroup_fd, program(rules).fd)
    except KernelError as error:
        raise Unavailable(f"cannot restrict devices (cgroup v2): {error}") from error


def parse(rules: Iterable[str]) -> list[Rule]:
    """Rules of the same devices are one rule with the access of all of them, as in version 1."""
    found: dict[tuple[int | None, int | None, int | None], int] = {}
    for line in rules:
        letter, numbers, letters = line.split()
        major, minor = (None if number == "*" else int(number) for number in numbers.split(":"))
        devices = (_KINDS.get(letter), major, minor)
        found[devices] = found.get(devices, 0) | sum(_ACCESS[access] for access in set(letters))
    return [Rule(*devices, access) for devices, access in found.items()]


def code_of(rules: Iterable[Rule]) -> bytes:
    """Each rule in turn; the first one that fits allows, and none denies."""
    code: list[Instruction] = [
        (_LOAD, _CONTEXT << 4 | _KIND, 0, 0),
        (_COPY, _KIND << 4 | _WANTED, 0, 0),
        (_AND, _KIND, 0, 0xFFFF),
        (_SHIFT, _WANTED, 0, 16),
        (_LOAD, _CONTEXT << 4 | _MAJOR, 4, 0),
        (_LOAD, _CONTEXT << 4 | _MINOR, 8, 0),
    ]
    for rule in rules:
        code += _rule(rule)
    code += [(_SET, _RESULT, 0, 0), (_EXIT, 0, 0, 0)]
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in code)


def _rule(rule: Rule) -> list[Instruction]:
    """Tests, each of which leads past the end of the rule if it fails."""
    tests: list[tuple[Instruction, ...]] = []
    if rule.access != _ALL:  # whatever is wanted beside what is allowed must be nothing
        tests.append(((_COPY, _WANTED << 4 | _RESULT, 0, 0), (_AND, _RESULT, 0, _ALL & ~rule.access)))
        tests.append(((_UNLESS_EQUAL, _RESULT, 0, 0),))
    for register, number in ((_KIND, rule.kind), (_MAJOR, rule.major), (_MINOR, rule.minor)):
        if number is not None:
            tests.append(((_UNLESS_EQUAL, register, 0, number),))
    allow: list[Instruction] = [(_SET, _RESULT, 0, 1), (_EXIT, 0, 0, 0)]
    steps = [*(step for test in tests for step in test), *allow]
    return [
        (code, registers, len(steps) - at - 1 if code == _UNLESS_EQUAL else offset, constant)
        for at, (code, registers, offset, constant) in enumerate(steps)
    ]
