"""Commands whose answer was lost with the engine, against a daemon that plays its part over a real socket."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from helpers.played_daemon import Scene, playing

from pysup.supervisor.cli import again as module
from pysup.supervisor.cli import main

CUT_OFF = Scene(b"", "reset")
OTHER_PORTS = {"PortBindings": {"80/tcp": []}}
GONE = "cannot find container c1: No such container: c1"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0, 0.0))
    for name in ("PYSUP_SOCKET", "PYSUP_RUN"):
        monkeypatch.delenv(name, raising=False)


def answer(status: str, document: object = None) -> Scene:
    body = b"" if document is None else json.dumps(document).encode()
    head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return Scene(head.encode() + body)


def shown(state: str = "running", run: int = 3, name: str = "web", **host: object) -> Scene:
    """An inspect document."""
    words = {
        "Status": state,
        "Running": state in {"running", "paused", "restarting"},
        "Paused": state == "paused",
    }
    return answer(
        "200 OK",
        {
            "Id": "c1",
            "Name": f"/{name}",
            "State": words,
            "HostConfig": {"PortBindings": {}} | host,
            "Pysup": {"RunNumber": run},
        },
    )


DONE = answer("204 No Content")
MISSING = answer("404 Not Found", {"message": GONE})
STARTED = answer("200 OK", {"Type": "container", "Action": "start"})
NO_EVENT = answer("200 OK")


def asked(request: bytes) -> str:
    method, target, _ = request.decode().split("\r\n")[0].split(" ")
    return f"{method} {target.removeprefix('/v1.47')}"


def run(words: Sequence[str], address: str) -> int:
    """Run a command against the daemon at an address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", address)
        patch.setattr("sys.argv", ["pysup", *words])
        return main.main()


def play(words: Sequence[str], scenes: Sequence[Scene]) -> tuple[int, list[str]]:
    """The exit code, and what was asked after the loss, beside the look at what became of the container."""
    with playing(*scenes) as (address, played):
        code = run(words, address)
    later = [asked(request) for request in played.requests][2:]
    assert later[:1] == ["GET /containers/c1/json"]
    return code, later[1:]


def case(words: str, before: Scene, *later: Scene, again: str = "") -> Any:
    scenes = (before, CUT_OFF, *later)
    return pytest.param(words, scenes, [again] if again else [], id=f"{words}{' again' if again else ''}")


@pytest.mark.parametrize(
    ("words", "scenes", "again"),
    [
        case(
            "start web", shown("exited"), shown("running", 4), DONE, again="POST /containers/c1/start?run=3"
        ),
        case("stop web", shown(), shown("exited"), DONE, again="POST /containers/c1/stop?run=3"),
        case("stop -t 5 web", shown(), MISSING),
        case("restart web", shown(), shown(), DONE, again="POST /containers/c1/restart?run=3"),
        case("kill web", shown(), shown("exited")),
        case("kill web", shown(), shown("running", 4)),
        case("kill -s sigkill web", shown(), MISSING),
        case("kill web", shown(), shown(), DONE, again="POST /containers/c1/kill?signal=KILL&run=3"),
        case("pause web", shown(), shown("paused")),
        case("pause web", shown(), shown(), DONE, again="POST /containers/c1/pause?run=3"),
        case("unpause web", shown("paused"), shown()),
        case(
            "unpause web", shown("paused"), shown("paused"), DONE, again="POST /containers/c1/unpause?run=3"
        ),
        case("rename web new", shown(), shown(name="new")),
        case("rename web new", shown(), shown(), DONE, again="POST /containers/c1/rename?name=new&run=3"),
        case(
            "update -m 64m web",
            shown(),
            shown(),
            answer("200 OK", {"Warnings": None}),
            again="POST /containers/c1/update?run=3",
        ),
        case("update --publish-rm 80 web", shown(**OTHER_PORTS), shown()),
        case("rm web", shown("exited"), MISSING),
        case("rm --link web/db", shown(Links=["/sql:/web/db"]), shown(Links=[])),
        case("rm --link web/db", shown(Links=["db", "sql:x"]), shown(Links=["sql:x"])),
        case(
            "rm --link /web/db",
            shown(Links=["sql:db"]),
            shown(Links=["sql:db"]),
            DONE,
            again="DELETE /containers/c1/db?link=1&run=3",
        ),
        case("rm -f web", shown(), shown(), DONE, again="DELETE /containers/c1?force=1&run=3"),
    ],
)
def test_what_is_done_is_not_asked_for_again(
    words: str, scenes: Sequence[Scene], again: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert play(words.split(), scenes) == (0, again)
    told = "" if words.startswith("rename") else words.rsplit(maxsplit=1)[-1] + "\n"
    assert capsys.readouterr() == (told, "")


def test_the_loss_of_a_signal_is_told_since_nobody_can_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert play(["kill", "-s", "HUP", "web"], [shown(), CUT_OFF, shown("exited")]) == (1, [])
    assert capsys.readouterr().err == (
        "pysup: cannot tell whether container web got signal HUP: "
        "the daemon closed the connection before it answered; the container is exited now\n"
    )


def test_what_cannot_be_done_is_told_by_the_next_engine(capsys: pytest.CaptureFixture[str]) -> None:
    refused = answer("409 Conflict", {"message": "cannot kill container web: it is not running"})
    again = ["POST /containers/c1/kill?signal=HUP&run=3"]
    assert play(["kill", "-s", "HUP", "web"], [shown("exited"), CUT_OFF, shown("exited"), refused]) == (
        1,
        again,
    )
    assert capsys.readouterr().err == "pysup: cannot kill container web: it is not running\n"
    assert play(["pause", "web"], [shown(), CUT_OFF, MISSING, MISSING]) == (
        1,
        ["POST /containers/c1/pause?run=3"],
    )
    assert capsys.readouterr().err == f"pysup: {GONE}\n"


def test_the_look_before_may_be_cut_off_as_well() -> None:
    with playing(CUT_OFF, shown(), DONE) as (address, played):
        assert run(["pause", "web"], address) == 0
    assert asked(played.requests[-1]) == "POST /containers/web/pause"


@pytest.mark.parametrize(("events", "code"), [(STARTED, 0), (NO_EVENT, 1)])
def test_a_start_of_what_removes_itself_is_known_by_its_events(events: Scene, code: int) -> None:
    scenes = [shown("created", 0), CUT_OFF, MISSING, events, *([] if code == 0 else [MISSING])]
    found, (first, *rest) = play(["start", "web"], scenes)
    assert first.startswith("GET /events?since=1&until=")
    assert (found, rest) == (code, ["POST /containers/c1/start?run=0"] if code else [])


def test_a_daemon_that_is_gone_ends_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with playing(shown(), CUT_OFF, CUT_OFF, CUT_OFF, CUT_OFF) as (address, _):
        assert run(["pause", "web"], address) == 125
    assert capsys.readouterr().err == "pysup: cannot reach the daemon: it closed the connection\n"


CREATED = answer("201 Created", {"Id": "c1", "Warnings": []})
NEW = shown("created", 0)


@pytest.mark.parametrize(
    ("scenes", "wanted"),
    [
        ((CUT_OFF, MISSING, CREATED, DONE), ["POST create", "GET json", "POST create", "POST start"]),
        ((CUT_OFF, NEW, DONE), ["POST create", "GET json", "POST start"]),
        (
            (CREATED, CUT_OFF, NEW, DONE),
            ["POST create", "POST start", "GET json", "POST start?run=0"],
        ),
        ((CREATED, CUT_OFF, MISSING, STARTED), ["POST create", "POST start", "GET json", "GET /events"]),
    ],
)
def test_a_run_is_created_and_started_once(
    scenes: Sequence[Scene], wanted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with playing(*scenes) as (address, played):
        assert run(["run", "-d", "host", "true"], address) == 0
    assert capsys.readouterr() == ("c1\n", "")
    requests = [asked(request) for request in played.requests]
    ids = {request.partition("?id=")[2] for request in requests if "create" in request}
    assert len(ids) == 1 and all(len(found) == 64 for found in ids)
    assert [shortened(request.partition("?id=")[0]) for request in requests] == wanted


def shortened(request: str) -> str:
    """Without the container."""
    method, _, target = request.partition(" ")
    return f"{method} {'/events' if target.startswith('/events') else target.rpartition('/')[2]}"
