"""What nft lists of base chains, in the order in which packets pass them."""

from __future__ import annotations

from pysup.supervisor.network.hooks import BaseChain, base_chains

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
