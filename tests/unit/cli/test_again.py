"""Going on after the daemon was lost, against a daemon that plays its part over a real socket."""

from __future__ import annotations

import json
import socket

import pytest
from helpers.played_daemon import Scene, playing

from pysup.supervisor.api.resumption import last_frame, positioned
from pysup.supervisor.cli import again as module
from pysup.supervisor.cli import main
from pysup.supervisor.cli.again import again, wait_again
from pysup.supervisor.cli.commands import events, logs
from pysup.supervisor.cli.failures import RunFailure
from pysup.supervisor.client.responses import Lost
from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import NotFound, Unavailable
from pysup.supervisor.logs.lines import Mark

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/vnd.pysup.positioned-stream\r\n"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0, 0.0))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYSUP_SOCKET", "PYSUP_RUN"):
        monkeypatch.delenv(name, raising=False)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def output(*frames: bytes, end: bool) -> Scene:
    return Scene(
        CHUNKED
        + b"\r\n"
        + b"".join(map(chunk, frames))
        + (chunk(last_frame()) + b"0\r\n\r\n" if end else b"")
    )


def test_as_often_as_there_are_pauses_and_no_more() -> None:
    tries = []

    def attempt() -> None:
        tries.append(1)
        raise Lost

    with pytest.raises(RunFailure, match="it closed the connection") as failed:
        again(attempt)
    assert (len(tries), failed.value.exit_code) == (3, 125)


def test_a_daemon_that_is_gone_is_not_waited_for() -> None:
    tries = []

    def attempt() -> None:
        tries.append(1)
        raise Unavailable("cannot connect to the daemon at /x: Connection refused")

    with pytest.raises(RunFailure, match="Connection refused") as failed:
        again(attempt)
    assert (len(tries), failed.value.exit_code) == (1, 125)


def test_another_error_is_what_it_is() -> None:
    def attempt() -> None:
        raise NotFound("no such container")

    with pytest.raises(NotFound):
        again(attempt)


def test_logs_go_on_behind_the_last_whole_frame(
    host: None, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (
        positioned(1, b"one\n", Mark(4)),
        positioned(2, b"two\n", Mark(8, 1, 2)),
        positioned(1, b"cut", Mark(9))[:-1],
    )
    scenes = (
        output(*first, end=False),
        Scene(b"", "reset"),
        output(end=False),
        output(positioned(1, b"three\n", Mark(14)), end=True),
    )
    with playing(*scenes) as (address, played):
        monkeypatch.setenv("DOCKER_HOST", address)
        assert logs.logs(["-f", "web"]) == 0
    assert capfdbinary.readouterr() == (b"one\nthree\n", b"two\n")
    resumed = [b"resume=8.1.2" in request.partition(b"\r\n")[0] for request in played.requests]
    assert resumed == [False, True, True, True]


def test_a_log_that_cannot_be_begun_is_an_ordinary_failure(
    host: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with playing(Scene(b"")) as (address, _):
        monkeypatch.setattr("sys.argv", ["pysup", "-H", address, "logs", "web"])
        assert main.main() == 1
    assert capsys.readouterr().err == "pysup: cannot reach the daemon: it closed the connection\n"


def test_events_go_on_behind_the_last_one(
    host: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def event(number: int) -> bytes:
        return chunk(
            json.dumps({"Type": "x", "Action": f"a{number}", "time": 1, "Position": number}).encode() + b"\n"
        )

    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nPysup-Position: 6\r\n\r\n"
    scenes = (Scene(head), Scene(head + event(7) + event(8)), Scene(head + event(9) + b"0\r\n\r\n"))
    with playing(*scenes) as (address, played):
        monkeypatch.setenv("DOCKER_HOST", address)
        assert events.events(["--format", "json"]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["Action"] for each in shown] == ["a7", "a8", "a9"]
    assert all("Position" not in each for each in shown)
    assert [request.partition(b"resume=")[2][:1] for request in played.requests] == [b"", b"6", b"8"]


def test_a_wait_for_what_removed_itself_asks_the_events() -> None:
    gone = b'HTTP/1.1 404 \r\nContent-Length: 18\r\n\r\n{"message":"gone"}'
    die = json.dumps({"Actor": {"Attributes": {"exitCode": "42"}}}).encode() + b"\n"
    found = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(die) + die
    with playing(Scene(gone), Scene(found)) as (address, played):
        assert wait_again(Client(address), "web", "removed", "3") == {"StatusCode": 42}
    assert b"run=3" in played.requests[0] and b"die" in played.requests[1]


def test_a_wait_whose_container_nobody_remembers() -> None:
    gone = b'HTTP/1.1 404 \r\nContent-Length: 18\r\n\r\n{"message":"gone"}'
    none = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with (
        playing(Scene(gone), Scene(none)) as (address, _),
        pytest.raises(NotFound, match="removed meanwhile"),
    ):
        wait_again(Client(address), "web", "removed")


def test_a_port_that_nobody_listens_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(RunFailure, match="cannot connect"):
        again(lambda: Client(address).get("/info"))
