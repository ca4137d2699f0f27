"""How deep documents of strangers may go. Python's own bound depends on who asks: what was read here could not be
written there.
"""

from __future__ import annotations

DEEPEST = 100
"""Arrays and objects in each other; docker's own documents have a dozen."""


def check_depth(document: object) -> None:
    """Raises ValueError for one that goes deeper than DEEPEST."""
    level = [document]
    for _ in range(DEEPEST):
        level = [inner for one in level for inner in _within(one)]
        if not level:
            return
    raise ValueError(f"it goes deeper than {DEEPEST} levels")


def _within(value: object) -> list[object]:
    """Only what may have something in it."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [one for one in inner if isinstance(one, (dict, list))]
