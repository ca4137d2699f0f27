"""libnftables: one transaction of nft(8)'s language at a time, without a process (libnftables(3)).

Loaded when it is first needed. A run takes 0.2 ms for an element and lets go of the GIL; it works in the network
namespace of the thread that calls it, since it opens its socket anew each time.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import socket

from pysup.supervisor.kernel.libraries import Signatures, load

LIBRARY = "libnftables.so.1"
NETFILTER = 12
"""NETLINK_NETFILTER, netlink(7)."""

_CONTEXT = ctypes.c_void_p
_SIGNATURES: Signatures = {
    "nft_ctx_new": (_CONTEXT, (ctypes.c_uint32,)),
    "nft_ctx_free": (None, (_CONTEXT,)),
    "nft_ctx_buffer_output": (ctypes.c_int, (_CONTEXT,)),
    "nft_ctx_buffer_error": (ctypes.c_int, (_CONTEXT,)),
    "nft_ctx_get_output_buffer": (ctypes.c_char_p, (_CONTEXT,)),
    "nft_ctx_get_error_buffer": (ctypes.c_char_p, (_CONTEXT,)),
    "nft_run_cmd_from_buffer": (ctypes.c_int, (_CONTEXT, ctypes.c_char_p)),
}


class Refused(Exception):
    """The kernel, or the library, refused the transaction: nothing of it was done. The text is nft's own."""


def is_in_kernel() -> bool:
    """Whether there is nfnetlink, without which there are no rules, and the library ends the process (exit(3)).

    Raises OSError: that cannot be found out.
    """
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETFILTER).close()
    except OSError as error:
        if error.errno != errno.EPROTONOSUPPORT:
            raise
        return False
    return True


@functools.cache
def _library() -> ctypes.CDLL:
    """The library with its functions' types. Raises Missing."""
    return load(LIBRARY, _SIGNATURES, "libnftables1")


def run(commands: str) -> str:
    """Run commands as one transaction, in the calling thread's network namespace; what ``list`` prints.

    Raises Missing, Refused.
    """
    library = _library()
    context = library.nft_ctx_new(0)
    if not context:
        raise Refused("out of memory")
    try:
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        if library.nft_run_cmd_from_buffer(context, commands.encode()):
            raise Refused(_cause(library.nft_ctx_get_error_buffer(context) or b""))
        return (library.nft_ctx_get_output_buffer(context) or b"").decode(errors="replace")
    finally:
        library.nft_ctx_free(context)


def _cause(told: bytes) -> str:
    """The first line that says something: "Error: Could not process rule: Operation not supported"."""
    lines = [line for line in told.decode(errors="replace").splitlines() if "Error:" in line]
    return lines[0].partition("Error:")[2].strip() if lines else "it was refused without a reason"
