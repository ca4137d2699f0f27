"""What makes a step the same as one that was done before: its key in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from pysup.supervisor.build.errors import BadDockerfile

_VERSION = 1
"""Another one where the same step gives something else than it did."""

LARGEST = 4 << 20
"""Bytes: an image whose config is much larger, nobody would load."""


def step_key(parent: str, command: Sequence[str], config: object) -> str:
    """The key of a step.

    ``parent``: the image that it begins with; ``command``: what is done, with the digests of what is copied and the
    build arguments; ``config``: what is said of the image afterwards. Raises BadDockerfile if that is too much.
    """
    document = json.dumps([_VERSION, parent, list(command), config], sort_keys=True, separators=(",", ":"))
    if len(document) > LARGEST:
        raise BadDockerfile(f"cannot build: what is said of the image takes more than {LARGEST} bytes")
    return hashlib.sha256(document.encode()).hexdigest()


def joined(kind: str, digests: Sequence[str]) -> str:
    """One digest for several sources, as docker's history shows it (``file:…``, ``dir:…``, ``multi:…``)."""
    if len(digests) == 1:
        return digests[0]
    return f"{kind}:{hashlib.sha256(','.join(digests).encode()).hexdigest()}"
