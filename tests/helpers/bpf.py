"""What the kernel does with a seccomp filter: an interpreter of classic BPF, for the instructions that occur there."""

from __future__ import annotations

import struct
from collections.abc import Sequence

ALLOW, KILL, ERRNO = 0x7FFF0000, 0, 0x00050000
_INSTRUCTION = struct.Struct("=HBBI")
_DATA = struct.Struct("=iIQ6Q")
_WORD = 0xFFFFFFFF
_JUMPS = {
    0x10: lambda a, k: a == k,
    0x20: lambda a, k: a > k,
    0x30: lambda a, k: a >= k,
    0x40: lambda a, k: bool(a & k),
}


class Program:
    """A decoded filter. Every jump is checked to lead forward and inside, as the kernel's own checker does."""

    def __init__(self, code: bytes) -> None:
        self.steps = list(_INSTRUCTION.iter_unpack(code))
        for at, (kind, true, false, constant) in enumerate(self.steps):
            if kind & 7 == 5:
                ways = (constant,) if kind == 0x05 else (true, false)
                assert all(at + 1 + way < len(self.steps) for way in ways), at
        assert self.steps[-1][0] == 0x06

    def run(self, number: int, architecture: int, arguments: Sequence[int] = ()) -> int:
        """The value that the filter returns (SECCOMP_RET_*)."""
        words = [argument & 0xFFFFFFFFFFFFFFFF for argument in (*arguments, *[0] * 6)][:6]
        signed = number - (1 << 32) if number >> 31 else number
        data = _DATA.pack(signed, architecture, 0, *words)
        accumulator, at, memory = 0, 0, [0] * 16
        while True:
            kind, true, false, constant = self.steps[at]
            at += 1
            match kind:
                case 0x20:
                    (accumulator,) = struct.unpack_from("=I", data, constant)
                case 0x06:
                    return constant
                case 0x05:
                    at += constant
                case 0x54:
                    accumulator &= constant
                case 0x02:
                    memory[constant] = accumulator
                case 0x60:
                    accumulator = memory[constant]
                case _:
                    assert kind & 0x0F == 0x05, hex(kind)
                    at += true if _JUMPS[kind & 0xF0](accumulator & _WORD, constant) else false
