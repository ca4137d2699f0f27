"""The base chains that packets pass, in their order, as ``nft list chains`` tells of them (nft(8)). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_NAMED = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
_HOOKS = ("ingress", "prerouting", "input", "forward", "output", "postrouting", "egress")
_TABLE = re.compile(r"table (\S+) (\S+) \{")
_CHAIN = re.compile(r"\s+chain (\S+) \{")
_BASE = re.compile(r"\s+type (\w+) hook (\w+) .*?priority ([^;]+);(?: policy (\w+);)?")

_REFUSAL = re.compile(
    r"""(counter packets \d+ bytes \d+ )?(drop|reject( with .*)?|xt target "?(DROP|REJECT)"?)( comment ".*")?"""
)
"""A rule without a condition; xt: of iptables-nft."""


class BaseChain(NamedTuple):
    """A chain that the kernel calls."""

    hook: str
    priority: int
    table: str
    """Family and name: ``inet pysup``."""
    chain: str
    kind: str
    """filter, nat or route."""
    policy: str
    """What becomes of a packet on which no rule decides: ``accept`` or ``drop``."""


def droppers(chains: Iterable[BaseChain], table: str) -> list[BaseChain]:
    """Those of other tables that drop what is forwarded unless a rule of theirs accepts it."""
    return [one for one in chains if one.hook == "forward" and one.policy == "drop" and one.table != table]


def forwards(chain: BaseChain, table: str) -> bool:
    """Whether it is one of another table that what is forwarded passes, whose rules may decide on all that is left."""
    return chain.hook == "forward" and chain.kind == "filter" and chain.table != table


def refuses_the_rest(listed: str) -> bool:
    """Whether the last rule of a chain (``nft list chain``) drops or rejects whatever comes so far, as firewalld's."""
    rules = [line.strip() for line in listed.splitlines() if line.strip(" \t}")]
    return bool(rules) and _REFUSAL.fullmatch(rules[-1]) is not None


def base_chains(listed: str) -> list[BaseChain]:
    """All of them: by hook, in the order in which a packet passes them."""
    found, table, chain = [], "", ""
    for line in listed.splitlines():
        if match := _TABLE.match(line):
            table = f"{match[1]} {match[2]}"
        elif match := _CHAIN.match(line):
            chain = match[1]
        elif match := _BASE.match(line):
            kind, hook, priority, policy = match.groups()
            found.append(BaseChain(hook, _number(priority), table, chain, kind, policy or "accept"))
    return sorted(found, key=lambda one: (_HOOKS.index(one.hook), one.priority))


def _number(priority: str) -> int:
    """``-300``, ``filter`` or ``filter + 10``."""
    name, sign, rest = priority.strip().partition(" ")
    base = _NAMED.get(name)
    if base is None:
        return int(name)
    return base + int(rest.replace(" ", "")) if sign else base
