"""What the one writer makes of an environment that fails it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pysup.store.errors import StoreError
from pysup.store.writer import Change, commit


class WithoutMemory:
    """A connection whose library gets none: Python's sqlite3 raises no error of its own for that."""

    in_transaction = True

    def execute(self, sql: str) -> None:
        if sql in {"COMMIT", "ROLLBACK"}:
            raise MemoryError


def test_a_lack_of_memory_is_told_to_who_waits() -> None:
    """The thread goes on: nobody would be answered any more."""
    change = Change(lambda _conn: None)
    commit(cast("Any", WithoutMemory()), [change])
    with pytest.raises(StoreError, match="cannot write the store"):
        change.result.unwrap()
