"""Who has the table by which one owns the networks of a network namespace: another daemon, or somebody else.

Whoever loads rules that were saved with that table in them, by a program that goes on (``nft -i``), has it as a daemon
would. The kernel tells the socket alone, so it is asked which processes hold that.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from pysup.supervisor.network import owner
from pysup.supervisor.runtime.listeners import Holder, processes_with

_BEGINNING = "the pysup daemon of "
_ENDING = " (not for saved rules)"
_KEEPER = "pysup"
_MODULES = b"pysup.supervisor."
_NETWORKS = "the networks of this network namespace"


class Claimant(NamedTuple):
    """Whoever has it."""

    told: str
    """Who has what."""
    cure: str
    """What to do about it."""


def comment_of(root: str) -> str:
    """What a daemon says with its table, to other daemons and to whoever lists rules: first of all whose it is."""
    text = f"{_BEGINNING}{root}"
    fits = len((text + _ENDING).encode(errors="replace")) <= owner.LONGEST
    return text + _ENDING if fits else text


def describe(found: owner.Owner) -> Claimant:
    """Look for the processes that hold the socket; those of another pid namespace cannot be seen."""
    holders = processes_with(found.inode)
    keeper = next(filter(_is_keeper, holders), next(filter(_is_pysup, holders), None))
    says_so = found.comment.startswith(_BEGINNING)
    if keeper is not None or (says_so and not holders):
        known = [f"pid {keeper.pid}"] if keeper is not None else []
        if says_so:
            known.append(f"of {found.comment.removeprefix(_BEGINNING).removesuffix(_ENDING)}")
        return Claimant(
            f"another pysup daemon ({', '.join(known)}) owns {_NETWORKS}",
            "end it, or run this daemon in a network namespace of its own (unshare --net)",
        )
    return _stranger(holders)


def _stranger(holders: Sequence[Holder]) -> Claimant:
    who = str(holders[0]) if holders else "a process that cannot be seen from here"
    return Claimant(
        f"{who}, no pysup daemon, has the nftables table inet {owner.NAME}, whose owner owns {_NETWORKS}",
        "end it, and load no saved rules with that table in them",
    )


def _is_keeper(holder: Holder) -> bool:
    return holder.name == _KEEPER


def _is_pysup(holder: Holder) -> bool:
    """An engine has the socket, too, and for a moment alone, before it takes the place of a keeper that was killed."""
    with suppress(OSError), open(f"/proc/{holder.pid}/cmdline", "rb") as file:
        return _MODULES in file.read()
    return False
