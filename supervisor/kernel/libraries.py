"""Shared libraries other than libc: loaded when they are first needed, since a machine may be without them."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

Signatures = Mapping[str, tuple[type | None, tuple[type, ...]]]
"""What each function returns, and its arguments' types."""


class Missing(Exception):
    """A library is not installed; the text says what to do."""


def load(library: str, signatures: Signatures, package: str) -> ctypes.CDLL:
    """Load a library by its soname, and give its functions their types; calls let go of the GIL.

    ``package``: Debian's. Raises Missing.
    """
    try:
        loaded = ctypes.CDLL(library)
    except OSError as error:
        project = library.partition(".")[0]
        raise Missing(
            f"{library} cannot be loaded: install {project} (Debian: apt-get install {package})"
        ) from error
    for name, (result, arguments) in signatures.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded
