"""What makes a step the same as one that was done before: its key in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

_VERSION = 1
"""Another one where the same step gives something else than it did."""


def step_key(parent: str, command: Sequence[str], config: object) -> str:
    """The key of a step.

    ``parent``: the image that it begins with; ``command``: what is done, with the digests of what is copied and the
    build arguments; ``config``: what is said of the image afterwards.
    """
    document = [_VERSION, parent, list(command), config]
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def joined(kind: str, digests: Sequence[str]) -> str:
    """One digest for several sources, as docker's history shows it (``file:…``, ``dir:…``, ``multi:…``)."""
    if len(digests) == 1:
        return digests[0]
    return f"{kind}:{hashlib.sha256(','.join(digests).encode()).hexdigest()}"
