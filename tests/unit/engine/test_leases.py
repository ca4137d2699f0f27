"""A thousand random steps and crashes: no address is ever had twice, lost, or kept by nobody (hypothesis, stateful).

The rows are real, in a real database. A crash takes back what was not committed, as the death of an engine does.
"""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from pathlib import Path

from helpers.network_rows import add_container, add_network, endpoint_of, full
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pysup.store import containers, endpoints, networks
from pysup.store.database import open_or_create
from pysup.store.networks import Subnet
from pysup.supervisor.engine.networks.addressing import give_addresses
from pysup.supervisor.errors import Conflict

NETS = {"a": ("10.1.0.0/29", "10.1.0.8/30"), "b": ("10.2.0.0/29", "fd02::/125")}
GATEWAYS = {"10.1.0.1", "10.1.0.9", "10.2.0.1", "fd02::1"}
NAMES = st.integers(0, 7).map("c{}".format)


@dataclass
class Model:
    """What should be: the containers with their states, where they are, and what they asked for."""

    states: dict[str, str] = field(default_factory=dict)
    places: dict[tuple[str, str], str] = field(default_factory=dict)
    """(container, network): the address that was asked for, or nothing."""


class Leases(RuleBasedStateMachine):
    """Containers come and go on two networks with 7 and 10 free addresses."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self.conn = open_or_create(str(Path(self._directory.name) / "pysup.db"))
        for name, (first, second) in NETS.items():
            add_network(self.conn, f"{name}0", name, first, str(ip_network(first)[1]))
            networks.add_subnet(
                self.conn, Subnet(full(f"{name}0"), second, "", str(ip_network(second)[1]), {}, "")
            )
        self.now = Model()
        self.begin()

    def begin(self) -> None:
        """A transaction: what follows is there wholly or not at all."""
        self.before = copy.deepcopy(self.now)
        self.conn.execute("BEGIN IMMEDIATE")

    def teardown(self) -> None:
        self.conn.rollback()
        self.conn.close()
        self._directory.cleanup()

    # -- what happens ------------------------------------------------------------------------------------

    @rule(name=NAMES, state=st.sampled_from(["created", "running"]))
    def create(self, name: str, state: str) -> None:
        if name not in self.now.states:
            add_container(self.conn, name, state)
            self.now.states[name] = state

    @rule(name=NAMES, network=st.sampled_from("ab"), asked=st.sampled_from(["", "", "10.1.0.3", "10.2.0.4"]))
    def connect(self, name: str, network: str, asked: str) -> None:
        if name not in self.now.states or (name, network) in self.now.places:
            return
        if asked and ip_address(asked) not in ip_network(NETS[network][0]):
            return
        self.conn.execute("SAVEPOINT one")
        try:
            self._give(name, network, asked)
        except Conflict:
            self.conn.execute("ROLLBACK TO one")
        else:
            self.now.places[name, network] = asked
        self.conn.execute("RELEASE one")

    def _give(self, name: str, network: str, asked: str) -> None:
        endpoint = replace(
            endpoint_of(name, f"{network}0"), id=full(f"e{name[1:]}{network}"), interface=network
        )
        if (name, network) not in self.now.places:
            endpoints.insert(self.conn, endpoint)
        give_addresses(self.conn, endpoint, [ip_address(asked)] if asked else [])

    @rule(name=NAMES, state=st.sampled_from(["exited", "backoff"]))
    def end(self, name: str, state: str) -> None:
        if self.now.states.get(name) == "running":
            containers.update(self.conn, full(name), state=state)
            self.now.states[name] = state

    @rule(name=NAMES)
    def start(self, name: str) -> None:
        """What was given to others meanwhile is replaced, or the start is refused, and nothing has changed."""
        if self.now.states.get(name) not in ("created", "exited", "backoff"):
            return
        self.conn.execute("SAVEPOINT one")
        try:
            for (holder, network), asked in self.now.places.items():
                if holder == name:
                    self._give(name, network, asked)
        except Conflict:
            self.conn.execute("ROLLBACK TO one")
        else:
            containers.update(self.conn, full(name), state="running")
            self.now.states[name] = "running"
        self.conn.execute("RELEASE one")

    @rule(name=NAMES, network=st.sampled_from("ab"))
    def disconnect(self, name: str, network: str) -> None:
        if self.now.places.pop((name, network), None) is not None:
            endpoints.delete(self.conn, full(f"e{name[1:]}{network}"))

    @rule(name=NAMES, forgotten=st.booleans())
    def remove(self, name: str, forgotten: bool) -> None:
        """With its row, as --rm does, or with the row kept for its history."""
        if self.now.states.pop(name, None) is None:
            return
        if not forgotten:
            containers.update(self.conn, full(name), state="removed", removed_at=1)
            assert endpoints.of_container(self.conn, full(name)) == []
        containers.delete(self.conn, full(name))
        self.now.places = {place: asked for place, asked in self.now.places.items() if place[0] != name}

    @rule()
    def commit(self) -> None:
        self.conn.commit()
        self.begin()

    @rule()
    def crash(self) -> None:
        """SIGKILL: what was not committed has never been."""
        self.conn.rollback()
        self.now = self.before
        self.begin()

    # -- what always holds -------------------------------------------------------------------------------

    @invariant()
    def everybody_has_what_is_theirs_and_nobody_else_anything(self) -> None:
        found = endpoints.leases(self.conn)
        assert len({(lease.network_id, lease.address) for lease in found}) == len(found)
        known = {full(f"e{name[1:]}{network}"): (name, network) for name, network in self.now.places}
        assert {lease.endpoint_id for lease in found} <= set(known)
        for lease in found:
            assert ip_address(lease.address) in ip_network(lease.subnet) and lease.address not in GATEWAYS
        for endpoint_id, (name, network) in known.items():
            held = [lease.address for lease in found if lease.endpoint_id == endpoint_id]
            if self.now.states[name] == "running":
                assert len(held) == (1 if network == "a" else 2)
            asked = self.now.places[name, network]
            assert not asked or asked in held


Leases.TestCase.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
test_leases = Leases.TestCase
