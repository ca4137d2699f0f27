"""Which parts of the kernel are there that networks are made of: each is tried, in a namespace that goes then."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.kernel import netns
from pysup.supervisor.network import messages
from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.network.kernel_parts import LINKS, NAT, NF_TABLES, RULES, Part
from pysup.supervisor.network.netlink import Netlink

_TABLE = "inet pysup_probe"


@asynccontextmanager
async def elsewhere() -> AsyncIterator[int]:
    """A network namespace for the block, as a descriptor: what is tried there goes with it. Raises KernelError."""
    namespace = await trio.to_thread.run_sync(netns.new_namespace)
    try:
        yield namespace
    finally:
        os.close(namespace)


async def missing_links() -> list[Part]:
    """Kinds of interfaces that the kernel does not know; it may load a module for one that it does."""
    async with elsewhere() as namespace:
        with Netlink(namespace) as host:
            tried = await host.attempt(*(messages.try_kind(kind) for kind in LINKS))
    failed = zip(LINKS.values(), tried, strict=True)
    return [part for part, error in failed if error is not None and error.errno == errno.EOPNOTSUPP]


async def missing_rules(firewall: Firewall) -> list[Part]:
    """Parts of nftables; those that cannot be tried without another one that is missing are not named."""
    async with elsewhere() as namespace:
        for first in (NF_TABLES, NAT):
            if not await _works(firewall, namespace, first):
                return [first]
        return [part for part in RULES if not await _works(firewall, namespace, part)]


async def _works(firewall: Firewall, namespace: int, part: Part) -> bool:
    try:
        await firewall.apply(part.trial.format(table=_TABLE), f"try {part.what}", namespace=namespace)
    except Unavailable:
        return False
    return True
