"""Whom to trust as a registry: the system's authorities, and those in the directories that docker's users know.

    DIRECTORY/HOST[:PORT]/*.crt              further authorities for this registry
    DIRECTORY/HOST[:PORT]/NAME.cert, .key    a certificate of ours that it may ask for

Source: docker's documentation, "Verify repository client with certificates". Everything here blocks.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence

from pysup.supervisor.errors import Unavailable

DOCKER = "/etc/docker/certs.d"


def context_for(host: str, directories: Sequence[str], *, verified: bool) -> ssl.SSLContext:
    """For one registry, ``host[:port]``. Raises Unavailable, naming the file that is of no use."""
    context = ssl.create_default_context()
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for directory in directories:
        _add(context, os.path.join(directory, host))
    return context


def _add(context: ssl.SSLContext, directory: str) -> None:
    for name in _names(directory):
        path = os.path.join(directory, name)
        try:
            if name.endswith(".crt"):
                context.load_verify_locations(path)
            elif name.endswith(".cert"):
                context.load_cert_chain(path, path.removesuffix(".cert") + ".key")
        except (OSError, ssl.SSLError) as error:
            cause = getattr(error, "strerror", None) or str(error)
            raise Unavailable(f"cannot use certificate {path}: {cause}") from None


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise Unavailable(f"cannot read {directory}: {error.strerror}") from None
