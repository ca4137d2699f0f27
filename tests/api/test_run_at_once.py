"""POST /pysup/run: creation, start and end in one exchange, against a real daemon."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from helpers.daemon import Daemon

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import BadRequest, Conflict, NotFound, PysupError

pytestmark = pytest.mark.kernel


@pytest.fixture
def daemon(tidy: Daemon) -> Daemon:
    """One for all tests of the module."""
    return tidy


@contextlib.contextmanager
def client_of(daemon: Daemon) -> Iterator[Client]:
    with contextlib.closing(Client(f"unix://{daemon.socket}")) as client:
        yield client


def run(client: Client, *argv: str, query: dict[str, str] | None = None, **host: Any) -> list[Any]:
    body = {"Image": "host", "Cmd": list(argv), "HostConfig": {"NetworkMode": "none", **host}}
    return list(client.run(body, query=query))


def directories(daemon: Daemon) -> set[str]:
    """Of containers, not those made ahead; the logs of those that have gone stay for a day."""
    return {path.name for path in (daemon.root / "containers").glob("[!.]*")}


def names(client: Client) -> list[str]:
    return [name for one in client.get("/containers/json", query={"all": "1"}) for name in one["Names"]]


def test_the_whole_life_is_one_answer(daemon: Daemon) -> None:
    with client_of(daemon) as client:
        query = {"condition": "removed", "name": "once"}
        made, ended = run(client, "sh", "-c", "exit 7", query=query, AutoRemove=True)
        assert (ended, made["Warnings"], names(client)) == ({"Error": None, "StatusCode": 7}, [], [])
        told = client.stream_json(
            "GET", "/events", query={"since": "1", "filters": json.dumps({"container": ["once"]})}
        )
        expected = ["create", "start", "die", "destroy"]
        actions = [event["Action"] for _, event in zip(expected, told, strict=False)]
        assert actions == expected


def test_without_a_condition_it_answers_when_the_process_runs(daemon: Daemon) -> None:
    with client_of(daemon) as client:
        (made,) = run(client, "sleep", "1000", query={"name": "nap"})
        state = client.get("/containers/nap/json")["State"]
        assert (state["Status"], client.get("/containers/nap/json")["Id"]) == ("running", made["Id"])
        assert client.get("/pysup/containers/nap/history")[0]["ExitCode"] is None
        client.delete("/containers/nap", query={"force": "1"})


@pytest.mark.parametrize(("condition", "code"), [("next-exit", 3), ("not-running", 3)])
def test_the_conditions_of_wait(daemon: Daemon, condition: str, code: int) -> None:
    with client_of(daemon) as client:
        _made, ended = run(client, "sh", "-c", "exit 3", query={"condition": condition, "name": "brief"})
        assert (ended["StatusCode"], names(client)) == (code, ["/brief"])


@pytest.mark.parametrize("auto_remove", [False, True])
def test_what_cannot_be_started_does_not_stay(daemon: Daemon, auto_remove: bool) -> None:
    with client_of(daemon) as client:
        with pytest.raises(PysupError, match="executable file not found"):
            run(client, "no-such-program", AutoRemove=auto_remove)
        assert names(client) == []
        assert not list((daemon.root / "containers").glob("[!.]*/upper"))


def test_a_name_that_is_taken_leaves_nothing(daemon: Daemon) -> None:
    before = directories(daemon)
    with client_of(daemon) as client:
        run(client, "sleep", "1000", query={"name": "taken"})
        with pytest.raises(Conflict, match="cannot create container taken: the name is taken"):
            run(client, "sleep", "1000", query={"name": "taken"})
        assert names(client) == ["/taken"]
        assert len(directories(daemon) - before) == 1
        assert len(daemon.cgroups()) == 1


def test_bad_requests(daemon: Daemon) -> None:
    before = directories(daemon)
    with client_of(daemon) as client:
        with pytest.raises(BadRequest, match="invalid condition"):
            run(client, "true", query={"condition": "never"})
        with pytest.raises(NotFound, match="no-such-image"):
            list(client.run({"Image": "no-such-image", "Cmd": ["true"]}))
        assert directories(daemon) <= before
