"""What is said where the kernel lacks a part: which, how its module is called, and nothing where it lacks none."""

from __future__ import annotations

import errno

import pytest

from pysup.supervisor.network.kernel_parts import LINKS, NAT, NF_TABLES, RULES, lacking, refused_link
from pysup.supervisor.network.rules import whole


@pytest.mark.parametrize("kind", LINKS)
def test_a_refused_interface_names_the_module_only_if_the_kind_is_unknown(kind: str) -> None:
    module = {"vlan": "8021q"}.get(kind, kind)
    assert f"(module {module}, CONFIG_" in refused_link(kind, errno.EOPNOTSUPP)
    for other in (errno.EEXIST, errno.EBUSY, errno.EPERM, 0):
        assert refused_link(kind, other) == ""


def test_all_that_lacks_is_named() -> None:
    assert lacking([LINKS["bridge"]]) == "the kernel has no bridges (module bridge, CONFIG_BRIDGE)"
    assert lacking(RULES[:2]) == (
        "the kernel has no nftables' dnat (module nft_nat, CONFIG_NFT_NAT), "
        "nftables' masquerade (module nft_masq, CONFIG_NFT_MASQ)"
    )


def test_what_rules_are_made_of_is_tried() -> None:
    """Each statement that needs a module of its own."""
    text = whole([], [], guarded=())
    tried = "".join(part.trial for part in (NF_TABLES, NAT, *RULES))
    for statement in ("dnat ip to", "masquerade", "ct state", "fib daddr type local", "type nat hook"):
        assert statement in text and statement in tried
