"""What the store can say no with. It imports nothing of supervisor, so these are its own classes.

StoreError              cannot write the store: <cause> (a full disk, an I/O error); nothing was written
└── CannotOpen          cannot open <path>: <cause>
    ├── Corrupt         not a database, or a damaged one; left as it is
    └── Newer           made by a newer pysup; left as it is
Missing, Ambiguous      answers to a lookup by what a person typed (LookupError)
NameTaken               another container that is not removed has the name
"""

from __future__ import annotations


class StoreError(Exception):
    """The store could not take a write. Try again when the cause is gone; the store stays usable."""


class CannotOpen(StoreError):
    """The database cannot be opened; the text names the file and the cause."""

    def __init__(self, path: str, cause: str) -> None:
        self.path = path
        super().__init__(f"cannot open {path}: {cause}")


class Corrupt(CannotOpen):
    """The file is no database of pysup's, or a damaged one. It was not touched."""


class Newer(CannotOpen):
    """A newer pysup has migrated the file. It was not touched."""


class Missing(LookupError):
    """Nothing has this id, name or prefix."""

    def __init__(self, ref: str) -> None:
        self.ref = ref
        super().__init__(f"cannot find {ref}: there is no such id, name or prefix")


class Ambiguous(LookupError):
    """The prefix is that of more than one id."""

    def __init__(self, ref: str) -> None:
        self.ref = ref
        super().__init__(f"cannot find {ref}: more than one id begins so")


class NameTaken(Exception):
    """The name belongs to another container that is not removed, or to another network."""

    def __init__(self, name: str, holder: str, kind: str = "container") -> None:
        self.name = name
        self.holder = holder
        """The id of the one that has it."""
        super().__init__(f"cannot use the name {name}: {kind} {holder} has it")
