"""Digests of content (OCI image-spec, descriptor.md, Digests): ``sha256:`` and 64 hexadecimal digits. Pure.

sha512, which the specification allows too, is not supported: nobody uses it, and what cannot be verified is refused.
"""

from __future__ import annotations

import hashlib
import re

from pysup.supervisor.errors import BadRequest

PREFIX = "sha256:"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_SHOWN = 100


class WrongDigest(BadRequest):
    """Content is not what its digest or its size says; nothing of it was kept."""


def digest_of(content: bytes) -> str:
    """The digest of content in memory."""
    return PREFIX + hashlib.sha256(content).hexdigest()


def is_digest(text: object) -> bool:
    """Whether this is a digest that can be verified."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def hex_of(digest: str) -> str:
    """Its 64 digits: the name of a file. Raises WrongDigest for anything else, so no path is made of it."""
    if not is_digest(digest):
        raise WrongDigest(
            f"cannot use digest {digest[:_SHOWN]!r}: it is not sha256: and 64 hexadecimal digits"
        )
    return digest.removeprefix(PREFIX)
