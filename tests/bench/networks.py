"""What a network costs a container of ``true``: none, the default bridge, a network with names; and the hundredth."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.bench.common import goal, ratio, report, take_turns
from tests.bench.lab import Lab
from tests.bench.supervisor import run

TRUE = "/bin/true"
NETWORK, GUESTS = "bench", 100


def measure(lab: Lab) -> None:
    """Print medians, through the API, beside few containers and beside a hundred."""
    client = lab.pysup.client()
    client.post("/networks/create", {"Name": NETWORK})
    kinds = {"no network": "none", "default bridge": "bridge", "network with names": NETWORK}
    subjects: dict[str, Callable[[], object]] = {
        name: partial(run, client, "bench", [TRUE], network) for name, network in kinds.items()
    }
    few = take_turns(subjects, lab.rounds)
    guests = [f"bench-guest-{number}" for number in range(GUESTS)]
    try:
        for guest in guests:
            lab.pysup.start_on(NETWORK, guest, "/bin/sleep", "100000")
        many = take_turns(
            {f"{name}, {GUESTS} beside": subject for name, subject in subjects.items()}, lab.rounds
        )
    finally:
        for guest in guests:
            lab.pysup.remove(guest)
        client.delete(f"/networks/{NETWORK}")
        client.close()
    times = {**few, **many}
    report("start and exit of `true` on a network", times, base="no network")
    goal("default bridge : none", ratio(times, "default bridge", "no network"), 1.4)
    goal("with names : none", ratio(times, "network with names", "no network"), 1.4)
    hundredth = f"network with names, {GUESTS} beside"
    goal("with names, 100 beside : none", ratio(times, hundredth, f"no network, {GUESTS} beside"), 1.4)
