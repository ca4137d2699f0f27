"""Ports of the host: what goes on when others are wanted, and what must be taken."""

from __future__ import annotations

import errno
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.engine.networks.ports import Ports, Refused, Taken, addresses_of, still_wanted
from pysup.supervisor.engine.networks.refusals import forbidden
from pysup.supervisor.network.rules import ANY
from pysup.supervisor.spec.container import Binding

BOTH = (ANY[4], ANY[6])


def test_what_is_bound_as_wanted_goes_on() -> None:
    tcp, udp = (
        [Taken(kind, place, *ports) for place in BOTH]
        for kind, ports in (("tcp", (8080, 80)), ("udp", (40000, 53)))
    )
    random, fixed = Binding("udp", 53), Binding("tcp", 80, "", 8000, 8090)
    elsewhere = Binding("tcp", 80, "127.0.0.1", 9, 9)
    assert still_wanted([random, fixed], tcp + udp, BOTH) == ({*tcp, *udp}, [])
    assert still_wanted([elsewhere], tcp + udp, BOTH) == (set(), [elsewhere])
    assert still_wanted([fixed, fixed], tcp + udp, BOTH) == (set(tcp), [fixed])
    assert still_wanted([random], tcp + udp, BOTH[:1]) == ({udp[0]}, [])
    any_tcp, further = Binding("tcp", 80), Taken("tcp", BOTH[0], 9000, 80)
    assert still_wanted([any_tcp, fixed], [further, tcp[0]], BOTH[:1]) == ({further, tcp[0]}, [])


BINDINGS = st.builds(
    lambda kind, port, place, first: Binding(kind, port, place, first, first and first + 2),
    st.sampled_from(["tcp", "udp"]),
    st.sampled_from([80, 53]),
    st.sampled_from(["", "127.0.0.1"]),
    st.sampled_from([0, 8080, 8081]),
)
TAKEN = st.builds(
    Taken,
    st.sampled_from(["tcp", "udp"]),
    st.sampled_from(["127.0.0.1", *BOTH]),
    st.integers(8079, 8084),
    st.sampled_from([80, 53]),
)


@given(st.lists(BINDINGS, max_size=5), st.sets(TAKEN, max_size=8))
def test_every_binding_goes_on_whole_or_is_missing(bindings: list[Binding], taken: set[Taken]) -> None:
    kept, missing = still_wanted(bindings, taken, BOTH)
    assert kept <= taken

    def count(some: list[Binding]) -> int:
        return sum(len(addresses_of(one, BOTH)) for one in some)

    assert len(kept) == count(bindings) - count(missing)


def test_the_address_that_refuses_a_port_is_named() -> None:
    """The other one is 127.0.0.2: on 127.0.0.1 somebody may have the same number."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        ports, number = Ports(), server.getsockname()[1]
        with pytest.raises(Refused) as caught:
            ports.take([Binding("tcp", 80, "", number, number)], (), ("127.0.0.2", "::1"))
        assert caught.value.where == f"[::1]:{number}/tcp"
        assert ports.taken == ()


def test_ports_are_taken_further_and_given_back() -> None:
    ports, others = Ports(), Ports()
    (first,) = ports.take([Binding("tcp", 80)], (), ("127.0.0.1",))
    (second,) = ports.take([Binding("tcp", 81)], (), ("127.0.0.1",))
    assert set(ports.taken) == {first, second}
    ports.give_back([first])
    (again,) = others.take([Binding("tcp", 80, "", first.host_port, first.host_port)], (), ("127.0.0.1",))
    assert again == first and ports.taken == (second,)
    ports.close()
    others.close()
    assert ports.taken == ()


def test_a_random_port_of_sctp_has_a_number_also_where_the_host_has_no_sctp(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = socket.socket

    def without_sctp(family: int, kind: int, protocol: int = 0) -> socket.socket:
        if protocol == socket.IPPROTO_SCTP:
            raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")
        return real(family, kind, protocol)

    monkeypatch.setattr(socket, "socket", without_sctp)
    ports = Ports()
    taken = ports.take([Binding("sctp", 80), Binding("sctp", 81)], (), ("0.0.0.0", "::"))  # noqa: S104
    numbers = [one.host_port for one in taken]
    assert all(numbers) and numbers[0] == numbers[1] != numbers[2] == numbers[3]
    ports.close()


def test_a_port_of_sctp_is_had_once_also_where_the_host_has_no_sctp() -> None:
    """Nobody else binds it there: without a socket that has it nothing would tell."""
    ports, others = Ports(), Ports()
    wanted = [Binding("sctp", 80, "", 18190, 18190)]
    ports.take(wanted, (), ("0.0.0.0",))  # noqa: S104
    with pytest.raises(Refused) as caught:
        others.take(wanted, (), ("0.0.0.0",))  # noqa: S104
    assert (caught.value.errno, caught.value.twice) == (errno.EADDRINUSE, False)
    with pytest.raises(Refused) as caught:
        ports.take(wanted, (), ("0.0.0.0",))  # noqa: S104
    assert caught.value.twice
    ports.close()
    others.take(wanted, (), ("0.0.0.0",))  # noqa: S104
    others.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_nobody_else_has_a_port_of_a_range_from_the_moment_it_is_taken(address: str) -> None:
    """Also where it is to listen, and so is not bound for one alone."""
    ports, others = Ports(), Ports()
    (first,) = ports.take([Binding("tcp", 80)], (), (address,))
    last = first.host_port + 8
    (other,) = others.take([Binding("tcp", 80, "", first.host_port, last)], (), (address,))
    assert first.host_port < other.host_port <= last
    ports.close()
    others.close()


@pytest.mark.parametrize(
    ("port", "rootless", "told"),
    [
        (80, False, "no CAP_NET_BIND_SERVICE, without which ports below 1024 cannot be had"),
        (
            80,
            False,
            "publish one from 1024 on, or give it that capability, or run: sysctl net.ipv4.ip_unprivileged",
        ),
        (80, True, "without root, ports below 1024 cannot be had"),
        (80, True, "let root run: sysctl net.ipv4.ip_unprivileged_port_start=80"),
        (8080, False, "a security module"),
    ],
)
def test_a_port_that_may_not_be_bound_has_a_way_out(port: int, rootless: bool, told: str) -> None:
    assert told in forbidden(port, 1024, rootless=rootless)
