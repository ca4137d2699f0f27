"""Signals as readable events: signalfd(2). Python 3.11 has no wrapper of it."""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Iterable

from pysup.supervisor.kernel import libc, numbers

_SFD_NONBLOCK = os.O_NONBLOCK
_SFD_CLOEXEC = os.O_CLOEXEC
_SIZE = 128
"""sizeof(struct signalfd_siginfo)"""

_LIBC_OWN = (32, 33)
"""libc uses them itself, and has nobody change them; its posix_spawn(3) leaves them ignored, which outlasts execve."""
_NO_ACTION = bytes(64)
"""A struct sigaction of the kernel's, with room to spare: SIG_DFL, no flags, an empty mask."""
_MASK_SIZE = 8
"""Bytes of the kernel's sigset_t."""

_signalfd = libc.bind("signalfd", libc.c_int, libc.c_void_p, libc.c_int)


def signal_descriptor(numbers: Iterable[int]) -> int:
    """A descriptor that becomes readable when one of these (blocked) signals is pending."""
    mask = sum(1 << (number - 1) for number in numbers)
    return libc.check(
        _signalfd(-1, struct.pack("=16Q", mask, *(0,) * 15), _SFD_NONBLOCK | _SFD_CLOEXEC), "signalfd"
    )


def take_signals(fd: int) -> list[int]:
    """The numbers of the signals that are pending, each once; empty if there are none."""
    try:
        records = os.read(fd, _SIZE * 16)
    except BlockingIOError:
        return []
    return [struct.unpack_from("=I", records, offset)[0] for offset in range(0, len(records), _SIZE)]


def default_all() -> None:
    """Give every signal that is ignored or handled its default action, so that children need not do it.

    Also to libc's own: for a process that has one thread, as those are between threads.
    """
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(number) is not signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    for own in _LIBC_OWN:
        libc.syscall(numbers.RT_SIGACTION, "rt_sigaction", own, _NO_ACTION, 0, _MASK_SIZE)


def block_all() -> set[int]:
    """Block every signal: a write to a closed pipe is EPIPE then; the rest is read from the descriptor.

    Returns those that were blocked before.
    """
    return set(signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals()))


def restore(blocked: set[int]) -> None:
    """Block these and no others: what block_all() found."""
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def unblock_all() -> None:
    """Block nothing: what a program expects at its start."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
