"""What nft lists of base chains, in the order in which packets pass them."""

from __future__ import annotations

import pytest

from pysup.supervisor.network.hooks import BaseChain, base_chains, refuses_the_rest

LISTED = """\
table ip filter {
	chain FORWARD {
		type filter hook forward priority filter + 10; policy drop;
	}
	chain DOCKER {
	}
}
table inet pysup {
	chain publish {
	}
	chain guard {
		type filter hook prerouting priority raw; policy accept;
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
	}
}
table netdev other {
	chain in {
		type filter hook ingress device "eth0" priority -500; policy accept;
	}
	chain early {
		type filter hook prerouting priority dstnat - 5;
	}
}
"""


def test_chains_are_read_in_every_form_and_sorted() -> None:
    assert base_chains(LISTED) == [
        BaseChain("ingress", -500, "netdev other", "in", "filter", "accept"),
        BaseChain("prerouting", -300, "inet pysup", "guard", "filter", "accept"),
        BaseChain("prerouting", -105, "netdev other", "early", "filter", "accept"),
        BaseChain("forward", 0, "inet pysup", "forward", "filter", "accept"),
        BaseChain("forward", 10, "ip filter", "FORWARD", "filter", "drop"),
    ]
    assert base_chains("") == []


FIREWALLD = """\
table inet firewalld {
	chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy accept;
		ct state { established, related } accept
		jump filter_FORWARD_ZONES
		LAST
	}
}
"""


@pytest.mark.parametrize(
    ("last", "refuses"),
    [
        ("reject with icmpx admin-prohibited", True),
        ("counter packets 3 bytes 180 drop", True),
        ("drop", True),
        ('counter packets 0 bytes 0 xt target "REJECT"', True),
        ('iifname "lo" drop', False),
        ("ct state invalid drop", False),
        ("accept", False),
        ("jump drop", False),
    ],
)
def test_a_chain_that_refuses_all_the_rest_is_known_by_its_last_rule(last: str, refuses: bool) -> None:
    assert refuses_the_rest(FIREWALLD.replace("LAST", last)) is refuses
    assert not refuses_the_rest("")
