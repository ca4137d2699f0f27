"""Mutual TLS for the API: a certificate that the named authority signed is what lets a client be root here.

``python -m pysup.supervisor.api.tls CA CERT KEY [CRL]`` says whether the files will do: the daemon asks it before it
starts, in a process of its own, because OpenSSL is not to be part of the keeper.
"""

from __future__ import annotations

import ssl
import sys
from typing import cast

from pysup.supervisor.errors import Unavailable


def server_context(ca: str, cert: str, key: str, crl: str = "") -> ssl.SSLContext:
    """What accepts connections of those alone with a certificate of ``ca`` that is not in ``crl``. Raises Unavailable.

    The files are read now: a renewed certificate, or a new list, counts from the next ``pysup daemon --upgrade`` on.
    A list that has expired lets nobody in: nobody knows then who has been revoked since.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(cert, key, password=_no_password)
        context.load_verify_locations(ca)
        if crl:
            _heed(context, crl)
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"cannot use TLS with {', '.join(filter(None, (ca, cert, key, crl)))}: "
            f"{getattr(error, 'strerror', None) or error}"
        ) from error
    return context


def _heed(context: ssl.SSLContext, crl: str) -> None:
    """Refuse certificates that are in a revocation list of their authority (RFC 5280, 5), in PEM."""
    context.load_verify_locations(crl)
    if not context.cert_store_stats()["crl"]:
        raise ValueError(f"there is no certificate revocation list in {crl}")
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


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
