"""The one door to libc: every symbol is bound when this module is imported, the GIL is kept in calls.

PyDLL and not CDLL: the keeper's children run Python after a raw clone3(2), where letting go of the GIL and
taking it again gains nothing. Binding at import, because a child must not load anything once it has left the
host's file system. See https://docs.python.org/3/library/ctypes.html#ctypes.PyDLL
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import cast

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000

Buffer = ctypes.Array[ctypes.c_char]
Argument = int | bytes | Buffer
Function = Callable[..., int]


class KernelError(OSError):
    """A call to the kernel failed. ``call`` is its name; ``errno`` and ``strerror`` are as in OSError.

    Python's finer classes (FileNotFoundError, …) are not used for it: compare ``errno``.
    """

    def __init__(self, number: int, call: str) -> None:
        super().__init__(number, os.strerror(number))
        self.call = call

    def __str__(self) -> str:
        return f"{self.call}: {self.strerror}"


_libc = ctypes.PyDLL(None, use_errno=True)
_waiting = ctypes.CDLL(None, use_errno=True)


def bind(name: str, *arguments: type, returns: type = ctypes.c_int) -> Function:
    """Bind one function of libc with its argument types."""
    function = getattr(_libc, name)
    function.argtypes = arguments
    function.restype = returns
    return cast("Function", function)


def bind_waiting(name: str, *arguments: type) -> Function:
    """Bind one function that may wait for long: it lets go of the GIL, and belongs in a thread."""
    function = getattr(_waiting, name)
    function.argtypes = arguments
    function.restype = ctypes.c_int
    return cast("Function", function)


_word = ctypes.c_void_p
_PADDING = (0,) * 6
_syscall = bind("syscall", ctypes.c_long, _word, _word, _word, _word, _word, _word, returns=ctypes.c_long)


def check(result: int, call: str) -> int:
    """Return the result of a call, or raise KernelError with the errno that it left."""
    if result < 0:
        raise KernelError(ctypes.get_errno(), call)
    return result


def syscall(number: int, call: str, *arguments: Argument) -> int:
    """Make a system call that libc has no function for; a buffer or bytes is passed by address."""
    result = _syscall(number, *arguments, *_PADDING[len(arguments) :])
    if result < 0:
        raise KernelError(ctypes.get_errno(), call)
    return result


def text(value: str | bytes) -> bytes:
    """Encode a path or another C string. A NUL inside would cut it short, so it is an error."""
    encoded = os.fsencode(value)
    if b"\0" in encoded:
        raise ValueError(f"{value!r} has a NUL byte")
    return encoded


def buffer(size: int) -> Buffer:
    """Memory that a call writes to: made once for each use, at import.

    Each size is a new class to ctypes, which takes 60 µs to make. What a call only reads is given as bytes.
    """
    return ctypes.create_string_buffer(size)


def buffer_of(content: bytes) -> Buffer:
    """Memory with this content, for structures that hold pointers to what is only read, seldom."""
    return ctypes.create_string_buffer(content, len(content))


def address(memory: Buffer) -> int:
    """Where a buffer is, for structures that hold pointers."""
    return ctypes.addressof(memory)


c_int, c_uint, c_long, c_ulong = ctypes.c_int, ctypes.c_uint, ctypes.c_long, ctypes.c_ulong
c_char_p, c_void_p, c_size_t = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
