"""Mutual TLS for the API: a certificate that the named authority signed is what lets a client be root here.

``python -m pysup.supervisor.api.tls CA CERT KEY`` says whether the three files will do: the daemon asks it before it
starts, in a process of its own, because OpenSSL is not to be part of the keeper.
"""

from __future__ import annotations

import ssl
import sys
from typing import cast

from pysup.supervisor.errors import Unavailable


def server_context(ca: str, cert: str, key: str) -> ssl.SSLContext:
    """What accepts connections of those alone who have a certificate of ``ca``. Raises Unavailable.

    The files are read now: a renewed certificate counts from the next ``pysup daemon --upgrade`` on.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(cert, key, password=_no_password)
        context.load_verify_locations(ca)
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"cannot use TLS with {ca}, {cert} and {key}: {getattr(error, 'strerror', None) or error}"
        ) from error
    return context


class Witness:
    """A context for one connection, which knows where its bytes go out: an alert that nobody has sent is there."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._outgoing = ssl.MemoryBIO()

    def as_context(self) -> ssl.SSLContext:
        """All of a context that SSLStream uses."""
        return cast("ssl.SSLContext", self)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        *,
        server_side: bool,
        server_hostname: str | None,
    ) -> ssl.SSLObject:
        """As SSLContext does."""
        self._outgoing = outgoing
        return self._context.wrap_bio(incoming, outgoing, server_side, server_hostname)

    def unsent(self) -> bytes:
        """What is still to go out."""
        return self._outgoing.read()


def _no_password() -> str:
    raise ValueError("the key is encrypted")


if __name__ == "__main__":
    try:
        server_context(*sys.argv[1:])
    except Unavailable as error:
        sys.exit(f"pysup: {error}")
