"""Verdicts that depend on a call's number alone, as a tree of ranges that is put before libseccomp's program. Pure.

Most of a profile is such verdicts, and neighbours mostly have the same one. So a tree of ranges takes a sixth of the
instructions of one comparison for each call, and a third of the time to load: the kernel checks, translates and tries
each instruction at every start (seccomp(2), SECCOMP_SET_MODE_FILTER).
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
    """One comparison for each border, and behind them one return for each verdict; in parts, if that is too far."""
    ends = [_end(verdict) for verdict in dict.fromkeys(one.verdict for one in line)]
    if len(line) + len(ends) <= _FARTHEST:
        borders = _borders(line)
        return [*(_placed(border, at, len(borders), ends) for at, border in enumerate(borders)), *ends]
    middle = len(line) // 2
    below, above = _tree(line[:middle]), _tree(line[middle:])
    return [(_IF_AT_LEAST, 0, 1, line[middle].first), (_JUMP, 0, 0, len(below)), *below, *above]


class _Border(NamedTuple):
    """A comparison: where to go on above it, and below. A number is how many further on the next comparison is."""

    first: int
    above: int | Range
    below: int | Range


def _borders(line: Sequence[Range]) -> list[_Border]:
    """Halve the line until one range is left: what is below comes first."""
    if len(line) == 1:
        return []
    middle = len(line) // 2
    below, above = _borders(line[:middle]), _borders(line[middle:])
    where_above = 1 + len(below) if above else line[middle]
    return [_Border(line[middle].first, where_above, 1 if below else line[0]), *below, *above]


def _placed(border: _Border, at: int, count: int, ends: Sequence[Instruction]) -> Instruction:
    """The instruction of a comparison that is the ``at``-th of ``count``, before the ends."""
    above, below = (
        (where if isinstance(where, int) else count + ends.index(_end(where.verdict)) - at) - 1
        for where in (border.above, border.below)
    )
    return (_IF_AT_LEAST, above, below, border.first)


def _end(verdict: int | None) -> Instruction:
    return _GO_ON if verdict is None else (_RETURN, 0, 0, verdict)
