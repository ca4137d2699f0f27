"""How paths are opened that a container, an image or a client controls: the rules, and nobody has others.

Whoever opens such a path has a descriptor of where it begins, takes one of these rules, and uses what it gets by
descriptor: no name is looked up twice, so nobody can exchange it between a check and a use (openat2(2)).
tests/unit/test_path_rules.py keeps it so.
"""

from __future__ import annotations

from pysup.supervisor.kernel import mounts

INSIDE = mounts.RESOLVE_IN_ROOT | mounts.RESOLVE_NO_MAGICLINKS
"""As a process in that root would: a link leads to another place in it, ``..`` ends at it, /proc's links nowhere."""
NO_LINKS = mounts.RESOLVE_NO_SYMLINKS
"""Beside INSIDE: what must be there itself."""
BELOW = mounts.RESOLVE_BENEATH | mounts.RESOLVE_NO_SYMLINKS
"""For walking a tree: no link at all, no way up."""
WITHIN = mounts.RESOLVE_BENEATH | mounts.RESOLVE_NO_MAGICLINKS
"""A link may lead to another place below, and is an error if it leads out."""
ON_ONE_MOUNT = mounts.RESOLVE_NO_XDEV
"""Nothing that is mounted."""
BELOW_ON_ONE_MOUNT = BELOW | ON_ONE_MOUNT
