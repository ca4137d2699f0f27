"""Which chains packets pass, and which of them refuse what is forwarded: asked of the kernel."""

from __future__ import annotations

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.network.hooks import BaseChain, base_chains, forwards, refuses_the_rest
from pysup.supervisor.network.rules import TABLE


async def chains_passed(firewall: Firewall) -> list[BaseChain]:
    """All base chains, by hook and priority; one that ends by refusing all the rest has the policy of that.

    Raises Unavailable.
    """
    found = base_chains(await firewall.apply("list chains", "list the chains"))
    return [await _judged(firewall, one) if forwards(one, TABLE) else one for one in found]


async def _judged(firewall: Firewall, chain: BaseChain) -> BaseChain:
    try:
        listed = await firewall.apply(f"list chain {chain.table} {chain.chain}", "list a chain")
    except Unavailable:  # it has gone meanwhile
        return chain
    return chain._replace(policy="drop") if refuses_the_rest(listed) else chain
