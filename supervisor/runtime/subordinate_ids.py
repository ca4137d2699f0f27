"""Which further ids an ordinary user has: /etc/subuid and /etc/subgid (subuid(5)), and what maps them: newuidmap(1)."""

from __future__ import annotations

import contextlib
import pwd
import shutil

from pysup.supervisor.spec.auto_ids import Range, subordinate

FILES = {"uid": "/etc/subuid", "gid": "/etc/subgid"}
PROGRAMS = {"uid": "newuidmap", "gid": "newgidmap"}


def given(kind: str, uid: int) -> list[Range]:
    """What a file gives to a user, by his name or his id; ``uid`` or ``gid`` is the kind."""
    with contextlib.suppress(OSError), open(FILES[kind], encoding="utf-8", errors="replace") as file:
        found = subordinate(file.read())
        return found.get(_name(uid)) or found.get(str(uid), [])
    return []


def why_none(uid: int) -> str:
    """What a user lacks for them; empty: nothing."""
    missing = [program for program in PROGRAMS.values() if shutil.which(program) is None]
    if missing:
        return f"{' and '.join(missing)} (package uidmap) cannot be found"
    without = [FILES[kind] for kind in FILES if not given(kind, uid)]
    if not without:
        return ""
    who = f"{_name(uid)} ({uid})" if _name(uid) else str(uid)
    return f"{' and '.join(without)} {'give' if len(without) > 1 else 'gives'} none to user {who}"


def _name(uid: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return ""
