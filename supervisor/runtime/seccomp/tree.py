"""Verdicts that depend on a call's number alone, as a tree of ranges that is put before libseccomp's program. Pure.

Most of a profile is such verdicts, and neighbours mostly have the same one. So a tree of ranges takes a third of the
instructions of one comparison for each call, and half the time to load: the kernel checks, translates and tries each
instruction at every start (seccomp(2), SECCOMP_SET_MODE_FILTER).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP = 0x05  # BPF_JMP | BPF_JA
_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_NUMBER, _ARCHITECTURE = 0, 4
"""Offsets in struct seccomp_data."""
_FARTHEST = 255
"""What a conditional jump can skip; BPF_JA can skip more."""

_INSTRUCTION = struct.Struct("=HBBI")
Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, constant (struct sock_filter)."""
_GO_ON: Instruction = (_JUMP, 0, 0, 0)
"""Stands for the jump to what follows all trees."""


class Range(NamedTuple):
    """From this number to the next range's: one verdict; None: what follows the trees decides."""

    first: int
    verdict: int | None


def ranges(verdicts: Mapping[int, int | None], gap: int | None, first: int, end: int) -> list[Range]:
    """The line of numbers from ``first`` to before ``end``; ``gap`` is for those without a verdict."""
    points = {first: gap, **{number + 1: gap for number in verdicts}, **verdicts}
    return [Range(*point) for point in sorted(points.items()) if first <= point[0] < end]


def joined(line: Sequence[Range]) -> list[Range]:
    """Without the borders between neighbours of one verdict."""
    return [one for at, one in enumerate(line) if at == 0 or one.verdict != line[at - 1].verdict]


def program(trees: Mapping[int, Sequence[Range]]) -> bytes:
    """The instructions; ``trees`` by architecture (AUDIT_ARCH_*). Any other one goes on, too."""
    code: list[Instruction] = [(_LOAD, 0, 0, _ARCHITECTURE)]
    for token, line in trees.items():
        block = [(_LOAD, 0, 0, _NUMBER), *_tree(joined(line))]
        code += [(_IF_EQUAL, 1, 0, token), (_JUMP, 0, 0, len(block)), *block]
    last = len(code) - 1
    placed = ((_JUMP, 0, 0, last - at) if step is _GO_ON else step for at, step in enumerate(code))
    return b"".join(_INSTRUCTION.pack(*step) for step in placed)


def _tree(line: Sequence[Range]) -> list[Instruction]:
    """Halve the line until one range is left."""
    if len(line) == 1:
        verdict = line[0].verdict
        return [_GO_ON if verdict is None else (_RETURN, 0, 0, verdict)]
    middle = len(line) // 2
    below, above = _tree(line[:middle]), _tree(line[middle:])
    if len(below) <= _FARTHEST:
        return [(_IF_AT_LEAST, len(below), 0, line[middle].first), *below, *above]
    return [(_IF_AT_LEAST, 0, 1, line[middle].first), (_JUMP, 0, 0, len(below)), *below, *above]
