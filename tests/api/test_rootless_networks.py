"""An ordinary user's networks are like root's, in a network namespace of his daemon's; no root anywhere."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest
import trio
from helpers.compose_project import PROJECT, served
from helpers.mortal import until
from helpers.name_servers import a_record, name_server
from helpers.network_use import FETCH, SERVER, fetch
from helpers.rootless import RootlessUser

pytestmark = pytest.mark.kernel

HOST = "198.51.100.7"


@pytest.fixture(scope="module")
def user() -> Iterator[RootlessUser]:
    with RootlessUser() as someone:
        yield someone


@pytest.fixture(scope="module", autouse=True)
def host(user: RootlessUser) -> Iterator[None]:
    """An address of the tests' host that is not of its loopback, which no container may reach."""
    assert user.uid
    subprocess.run(["ip", "addr", "add", f"{HOST}/32", "dev", "lo"], check=True)
    yield
    subprocess.run(["ip", "addr", "delete", f"{HOST}/32", "dev", "lo"], check=True)


def answers(port: int) -> bool:
    try:
        return fetch(port).startswith(b"HTTP/1.0 200")
    except OSError:
        return False


def test_a_container_reaches_out_and_its_port_is_reached(user: RootlessUser) -> None:
    serve = 'pysup run -d --name "$1" -p "$2:80" host python3 -c "$3"'
    user.ok(serve, "web", "18120", SERVER)
    until(lambda: answers(18120), "an answer")
    look = 'pysup run --rm host python3 -c "$1" "$2"'
    assert user.ok(look, FETCH, f"http://{HOST}:18120/") == "200\n"
    assert user.sh(look, FETCH, "http://127.0.0.1:18120/").returncode != 0
    shown = user.ok("pysup exec web ip -br addr show eth0; pysup port web; pysup explain port 18120")
    assert "/16" in shown and "80/tcp -> 0.0.0.0:18120" in shown and "container web, network bridge" in shown
    assert "container web has it" in user.sh(serve, "second", "18120", SERVER).stderr


def test_it_is_so_after_a_restart_a_crash_and_a_change(user: RootlessUser) -> None:
    user.ok("pysup restart -t 0 web")
    until(lambda: answers(18120), "an answer after a restart")
    engine = next(pid for pid in user.daemons() if pid != user.keeper)
    os.kill(engine, signal.SIGKILL)
    until(lambda: answers(18120), "an answer through the next engine")
    user.ok("pysup update --publish-add 18121:80 web")
    until(lambda: answers(18121), "an answer at the port that was added")


async def test_names_are_asked_of_the_hosts_servers_also_of_one_on_its_loopback(user: RootlessUser) -> None:
    (user.directory / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    script = 'pysup run --rm host sh -c "cat /etc/resolv.conf; getent ahostsv4 example.test"'
    async with name_server("127.0.0.1", lambda query: [a_record(query, "192.0.2.77")]):
        shown = await trio.to_thread.run_sync(user.ok, script)
    assert "nameserver 10.0.2.3\n" in shown and "192.0.2.77" in shown


def test_networks_of_the_users_own(user: RootlessUser) -> None:
    """Names, no way out of an internal one, no way between two, and a change of network while it runs."""
    user.ok("pysup network create back; pysup network create --internal inner")
    serve = 'pysup run -d --name "$1" --network "$2" -p "$3:80" host python3 -c "$4"'
    user.ok(serve, "db", "back", "18122", SERVER)
    user.ok(serve, "hidden", "inner", "18123", SERVER)
    until(lambda: answers(18122), "an answer from a network of the user's own")
    look = 'pysup run --rm --network "$1" host python3 -c "$2" "$3"'
    assert (
        user.ok(look, "back", FETCH, "http://db/")
        == user.ok(look, "inner", FETCH, "http://hidden/")
        == "200\n"
    )
    assert user.ok(look, "back", FETCH, f"http://{HOST}:18120/") == "200\n"
    for network, url in (
        ("inner", f"http://{HOST}:18120/"),
        ("bridge", "http://db/"),
        ("back", "http://hidden/"),
    ):
        assert user.sh(look, network, FETCH, url).returncode != 0, url
    assert not answers(18123), "an internal network's port was published"
    user.ok("pysup network connect inner db")
    assert user.ok(look, "inner", FETCH, "http://db/") == "200\n"
    user.ok("pysup network disconnect inner db")
    assert user.sh(look, "inner", FETCH, "http://db/").returncode != 0


def test_ports_by_udp_in_a_row_and_on_one_address(user: RootlessUser) -> None:
    echo = (
        "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 5000))\n"
        "while True: data, client = s.recvfrom(99); s.sendto(data.upper(), client)"
    )
    publish = "-p 127.0.0.1:18124:5000/udp -p 18125-18127:80-82"
    user.ok(f'pysup run -d --name echo --network back {publish} host python3 -c "$1"', echo)

    def answered() -> bool:
        with socket.socket(type=socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.5)
            asking.connect(("127.0.0.1", 18124))
            try:
                asking.send(b"hello")
                return asking.recv(99) == b"HELLO"
            except OSError:
                return False

    until(answered, "an answer by UDP")
    shown = user.ok("pysup port echo")
    assert "5000/udp -> 127.0.0.1:18124" in shown and "82/tcp -> 0.0.0.0:18127" in shown
    assert (
        "without root, ports of tcp and udp alone can be carried"
        in user.sh("pysup run --rm -p 18128:80/sctp host true").stderr
    )


def test_compose_by_the_users_socket(user: RootlessUser) -> None:
    """Two services find each other by name, are scaled on a range of ports, and are there after a crash."""
    compose = (
        "cd $HOME/shop; compose() { env -u PYTHONPATH -u LD_LIBRARY_PATH COMPOSE_ANSI=never "
        'DOCKER_HOST=unix://$XDG_RUNTIME_DIR/pysup/pysup.sock docker-compose "$@"; }; '
    )
    user.ok('mkdir $HOME/shop; printf %s "$1" > $HOME/shop/docker-compose.yml', PROJECT)
    user.ok(f"{compose} compose up -d --scale web=2")
    ports = [int(user.ok(f"pysup port shop_web_{number} 80").split(":")[1].split()[0]) for number in (1, 2)]
    for port in ports:
        until(lambda port=port: served(port) == b"kept\n", "an answer of web, which asks db by its name")
    os.kill(next(pid for pid in user.daemons() if pid != user.keeper), signal.SIGKILL)
    for port in ports:
        until(lambda port=port: served(port) == b"kept\n", "an answer through the next engine")
    user.ok(f"{compose} compose down -v -t 0")
    assert "shop" not in user.ok("pysup network ls; pysup ps -a; pysup volume ls")


def test_the_way_out_comes_back_when_its_program_is_ended(user: RootlessUser) -> None:
    (program,) = user.processes(b"slirp4netns")
    os.kill(program, signal.SIGKILL)
    until(lambda: user.processes(b"slirp4netns") not in ([], [program]), "another program")
    look = 'pysup run --rm host python3 -c "$1" "$2"'
    assert user.ok(look, FETCH, f"http://{HOST}:18120/") == "200\n"


def test_nothing_of_it_is_left_when_keeper_and_engine_are_killed(user: RootlessUser) -> None:
    for pid in user.daemons():
        os.kill(pid, signal.SIGKILL)
    until(lambda: not user.processes(b"slirp4netns"), "the end of the program")
    user.ok("pysup run --rm host true")
    user.ok("pysup rm -f web second db hidden echo; pysup network rm back inner")
    assert not answers(18120)


def test_a_port_that_only_root_may_have_is_refused(user: RootlessUser) -> None:
    told = user.sh("pysup run --rm -p 81:80 host true").stderr
    assert "cannot publish 0.0.0.0:81/tcp" in told and "sysctl net.ipv4.ip_unprivileged_port_start=81" in told
