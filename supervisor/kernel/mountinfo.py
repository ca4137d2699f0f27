"""The lines of /proc/self/mountinfo (proc_pid_mountinfo(5)), which is read in one way everywhere.

Whoever mounts something chooses its name, an ordinary user by fusermount(1), too. The kernel escapes blanks, tabs,
newlines and backslashes in it, and nothing else: no other character ends a line, and it need not be UTF-8.
"""

from __future__ import annotations

from typing import TextIO

PATH = "/proc/self/mountinfo"


def opened() -> TextIO:
    """The file, for reading."""
    return open(PATH, encoding="utf-8", errors="surrogateescape", newline="\n")


def read() -> str:
    """All of it, as it is now."""
    with opened() as file:
        return file.read()


def lines(text: str) -> list[str]:
    """What str.splitlines() would take for the end of a line (a carriage return, U+2028) may be a part of a name."""
    return [line for line in text.split("\n") if line]
