"""libseccomp: rules over system calls to a filter program (seccomp_init(3), seccomp_rule_add(3)).

Loaded when it is first needed, and never in a container's child: that only gets the bytes. Its calls let go of the
GIL (a compilation takes some 30 ms), so they belong in a thread.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple

from pysup.supervisor.kernel.libc import KernelError
from pysup.supervisor.kernel.libraries import Signatures, load

LIBRARY = "libseccomp.so.2"

KILL_PROCESS = 0x80000000
KILL_THREAD = 0x00000000
TRAP = 0x00030000
ERRNO = 0x00050000
"""With the errno in the lower 16 bits, as for TRACE (seccomp(2))."""
TRACE = 0x7FF00000
LOG = 0x7FFC0000
ALLOW = 0x7FFF0000

OPERATORS = {"NE": 1, "LT": 2, "LE": 3, "EQ": 4, "GE": 5, "GT": 6, "MASKED_EQ": 7}
"""enum scmp_compare, by the names in SCMP_CMP_*."""

_UNKNOWN = -1
"""__NR_SCMP_ERROR; other negative numbers stand for calls of other architectures."""
_OPTIMIZE = 8
"""SCMP_FLTATR_CTL_OPTIMIZE, libseccomp 2.5."""
_BINARY_TREE = 2


class Comparison(NamedTuple):
    """One condition on an argument; ``first`` is the mask of MASKED_EQ, and ``second`` its value then."""

    argument: int
    operator: int
    first: int
    second: int = 0


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


class _Version(ctypes.Structure):
    """struct scmp_version."""

    _fields_ = (("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint))


_SIGNATURES: Signatures = {
    "seccomp_version": (ctypes.POINTER(_Version), ()),
    "seccomp_init": (ctypes.c_void_p, (ctypes.c_uint32,)),
    "seccomp_release": (None, (ctypes.c_void_p,)),
    "seccomp_arch_native": (ctypes.c_uint32, ()),
    "seccomp_arch_resolve_name": (ctypes.c_uint32, (ctypes.c_char_p,)),
    "seccomp_arch_add": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_uint32)),
    "seccomp_attr_set": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)),
    "seccomp_syscall_resolve_name": (ctypes.c_int, (ctypes.c_char_p,)),
    "seccomp_syscall_resolve_name_arch": (ctypes.c_int, (ctypes.c_uint32, ctypes.c_char_p)),
    "seccomp_rule_add_array": (
        ctypes.c_int,
        (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p),
    ),
    "seccomp_export_bpf": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_int)),
}


@functools.cache
def _library() -> ctypes.CDLL:
    """The library with its functions' types. Raises Missing."""
    return load(LIBRARY, _SIGNATURES, "libseccomp2")


def version() -> tuple[int, int, int]:
    """The library's version. Raises Missing."""
    found = _library().seccomp_version().contents
    return found.major, found.minor, found.micro


def architecture(name: str) -> int | None:
    """The AUDIT_ARCH_* token of ``x86_64``, ``aarch64``, …; None for one that the library does not know."""
    return _library().seccomp_arch_resolve_name(name.encode()) or None


def native() -> int:
    """This machine's token."""
    return int(_library().seccomp_arch_native())


def resolve(name: str, token: int | None = None) -> int | None:
    """A call's number: this machine's, or that of an architecture; negative where that has no such call.

    None: the library does not know the name at all.
    """
    library = _library()
    encoded = name.encode()
    number = int(
        library.seccomp_syscall_resolve_name(encoded)
        if token is None
        else library.seccomp_syscall_resolve_name_arch(token, encoded)
    )
    return None if number == _UNKNOWN else number


class Builder:
    """A filter in the making: ``with Builder(ERRNO | 1) as builder: …; builder.export()``."""

    def __init__(self, default_action: int) -> None:
        self._library = _library()
        self._context = self._library.seccomp_init(default_action)
        if not self._context:
            raise KernelError(22, "seccomp_init")
        self._library.seccomp_attr_set(self._context, _OPTIMIZE, _BINARY_TREE)  # an older library has a list

    def __enter__(self) -> Builder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._library.seccomp_release(self._context)

    def add_architecture(self, token: int) -> None:
        """Judge the calls of one more architecture than this machine's own. seccomp_arch_add(3)."""
        self._check(self._library.seccomp_arch_add(self._context, token), "seccomp_arch_add")

    def add_rule(self, action: int, number: int, comparisons: Sequence[Comparison] = ()) -> None:
        """Act on a call if all comparisons hold; on other architectures by its name. seccomp_rule_add(3)."""
        made = (_Comparison * len(comparisons))(*(_Comparison(*one) for one in comparisons))
        result = self._library.seccomp_rule_add_array(self._context, action, number, len(made), made)
        self._check(result, "seccomp_rule_add")

    def export(self) -> bytes:
        """The program: an array of struct sock_filter. seccomp_export_bpf(3)."""
        fd = os.memfd_create("pysup-filter", os.MFD_CLOEXEC)
        try:
            self._check(self._library.seccomp_export_bpf(self._context, fd), "seccomp_export_bpf")
            return os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)

    @staticmethod
    def _check(result: int, call: str) -> None:
        """The library returns the negative errno."""
        if result < 0:
            raise KernelError(-result, call)
