from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from helpers import rows
from helpers.rows import ID, NOW, SECOND

from pysup.store.containers import Container
from pysup.store.events import Event
from pysup.store.execs import Exec
from pysup.store.images import Image, Tag
from pysup.store.runs import Run
from pysup.supervisor.api.render.container import Places, Sizes, inspect, list_entry
from pysup.supervisor.api.render.event import event_message
from pysup.supervisor.api.render.execs import inspect_exec
from pysup.supervisor.api.render.history import run_entry
from pysup.supervisor.api.render.image import history, image_entry, inspect_image, layers
from pysup.supervisor.api.render.networks import Attached
from pysup.supervisor.api.render.stats import Sample, stats
from pysup.supervisor.api.render.system import Machine, info, version
from pysup.supervisor.api.render.words import STATES, state_word, status_text
from pysup.supervisor.engine.containers.states import State
from pysup.supervisor.runtime.cgroups.base import BlockCount, Usage
from pysup.supervisor.settings import Settings


def container(**columns: Any) -> Container:
    body = {"Entrypoint": ["sh"], "Cmd": ["-c", "exit 1"], "Labels": {"a": "b"}}
    binds = {"Binds": ["/srv:/data:ro"], "Mounts": [{"Type": "tmpfs", "Target": "/t"}]}
    return rows.container({**body, "HostConfig": binds}, **columns)


ENDED = {"finished_at": NOW - 2 * 3600 * SECOND, "exit_code": 3, "pid": 0}


@pytest.mark.parametrize(
    ("columns", "word", "text"),
    [
        ({"state": "created", "started_at": None}, "created", "Created"),
        ({"state": "starting", "started_at": None}, "created", "Created"),
        ({"state": "starting", "run_number": 4, **ENDED}, "exited", "Exited (3) 2 hours ago"),
        ({"state": "starting", "retries": 2, **ENDED}, "restarting", "Restarting (3) 2 hours ago"),
        ({"state": "running"}, "running", "Up 3 minutes"),
        ({"state": "paused"}, "paused", "Up 3 minutes (Paused)"),
        ({"state": "stopping"}, "running", "Up 3 minutes"),
        ({"state": "backoff", **ENDED}, "restarting", "Restarting (3) 2 hours ago"),
        ({"state": "exited", **ENDED}, "exited", "Exited (3) 2 hours ago"),
        ({"state": "removed", **ENDED}, "dead", "Dead"),
    ],
)
def test_each_state_has_dockers_word_and_sentence(columns: dict[str, Any], word: str, text: str) -> None:
    row = container(**columns)
    assert state_word(row) == word
    assert status_text(row, NOW) == text


def test_no_state_is_without_a_word_of_dockers() -> None:
    assert {state_word(container(state=str(state))) for state in State} <= STATES


VOLUMES = "/var/lib/pysup/volumes"


def test_a_list_entry_is_dockers() -> None:
    entry = list_entry(container(), NOW, VOLUMES, Attached())
    assert entry["Names"] == ["/web"]
    assert entry["Command"] == "sh -c 'exit 1'"
    assert entry["Created"] == 1_800_000_000 - 4000
    assert entry["HostConfig"] == {"NetworkMode": "none"}
    assert [mount["Destination"] for mount in entry["Mounts"]] == ["/data", "/t"]
    assert "SizeRw" not in entry
    assert list_entry(container(), NOW, VOLUMES, Attached(), Sizes(1, 2))["SizeRootFs"] == 2


def test_a_list_entry_tells_when_the_next_start_is() -> None:
    row = container(state="backoff", next_start_at=NOW + SECOND // 2, retries=3, **ENDED)
    assert list_entry(row, NOW, VOLUMES, Attached())["Pysup"]["NextStartAt"] == "2027-01-15T08:00:00.5Z"


def test_inspect_is_dockers() -> None:
    shown = inspect(
        container(), Places("/var/lib/pysup/containers/x", ("/l2", "/l1"), VOLUMES), Attached(), execs=["e"]
    )
    assert (shown["Path"], shown["Args"]) == ("sh", ["-c", "exit 1"])
    assert shown["State"]["Running"] is True
    assert shown["State"]["FinishedAt"] == "0001-01-01T00:00:00Z"
    assert shown["Config"]["Hostname"] == ID[:12]
    assert shown["Config"]["Volumes"] is None
    assert shown["GraphDriver"]["Data"]["LowerDir"] == "/l2:/l1"
    assert shown["ExecIDs"] == ["e"]
    assert shown["Mounts"][0]["RW"] is False
    assert shown["NetworkSettings"]["Networks"].keys() == {"none"}
    json.dumps(shown)


def test_a_container_that_waits_for_its_restart_counts_as_running() -> None:
    state = inspect(container(state="backoff", **ENDED), Places("/d", (), VOLUMES), Attached())["State"]
    assert (state["Status"], state["Running"], state["Restarting"]) == ("restarting", True, True)
    assert (state["ExitCode"], state["Pid"]) == (3, 0)


def test_an_event_has_the_fields_of_old_and_new_clients() -> None:
    row = Event(7, NOW + 5, "container", "die", ID, {"image": "host", "exitCode": "1"}, 0, 0)
    message = event_message(row)
    assert (message["status"], message["id"], message["from"]) == ("die", ID, "host")
    assert (message["time"], message["timeNano"]) == (1_800_000_000, NOW + 5)
    assert message["Actor"]["Attributes"]["exitCode"] == "1"
    assert "status" not in event_message(replace(row, type="network"))


def test_an_exec_shows_its_command_and_its_end() -> None:
    body = {"Cmd": ["ls", "-l"], "Tty": True, "AttachStdout": True}
    row = Exec("e", ID, 1, "exited", 0, 2, "", NOW, NOW, NOW, json.dumps(body))
    shown = inspect_exec(row)
    assert (shown["ProcessConfig"]["entrypoint"], shown["ProcessConfig"]["arguments"]) == ("ls", ["-l"])
    assert (shown["ExitCode"], shown["Running"], shown["OpenStdout"], shown["OpenStdin"]) == (
        2,
        False,
        True,
        False,
    )


def test_a_run_is_told_with_its_times() -> None:
    run = Run(ID, 2, NOW, None, 42, None, 0, False, "policy", "", None, "", "", 5, 6)
    entry = run_entry(run)
    assert (entry["Number"], entry["EndedAt"], entry["Cause"]) == (2, None, "policy")
    assert entry["StartedAt"] == "2027-01-15T08:00:00Z"


USAGE = Usage(
    cpu_ns=10,
    cpu_each_ns=(4, 6),
    cpus_online=2,
    machine_cpu_ns=100,
    memory=5,
    memory_limit=9,
    memory_stat={"cache": 1},
    pids=3,
    block_bytes=(BlockCount(8, 0, "Read", 7),),
)


def test_stats_carry_the_sample_before() -> None:
    shown = stats(ID, "web", Sample(USAGE, NOW), Sample(replace(USAGE, cpu_ns=4), NOW - SECOND))
    assert shown["cpu_stats"]["cpu_usage"]["total_usage"] == 10
    assert shown["precpu_stats"]["cpu_usage"]["total_usage"] == 4
    assert shown["memory_stats"] == {"usage": 5, "stats": {"cache": 1}, "limit": 9}
    assert shown["blkio_stats"]["io_service_bytes_recursive"] == [
        {"major": 8, "minor": 0, "op": "Read", "value": 7}
    ]
    assert shown["pids_stats"] == {"current": 3}


def test_a_container_at_rest_has_stats_without_figures() -> None:
    shown = stats(ID, "web", None)
    assert shown["read"].startswith("0001-")
    assert shown["memory_stats"] == {}
    assert shown["cpu_stats"]["cpu_usage"]["total_usage"] == 0


IMAGE = Image(
    id="sha256:" + "1" * 64,
    layers=("l2", "l1"),
    size=123,
    created_at=NOW,
    config=json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": {"Cmd": ["sh"], "Labels": {"a": "b"}},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:x", "sha256:y"]},
            "history": [{"created": "2025-01-01T00:00:00Z", "created_by": "one"}, {"created_by": "two"}],
        }
    ),
)


def test_an_image_is_shown_with_its_tags() -> None:
    tags = [Tag("alpine", "3", IMAGE.id)]
    assert image_entry(IMAGE, tags)["RepoTags"] == ["alpine:3"]
    assert image_entry(IMAGE, [])["Labels"] == {"a": "b"}
    shown = inspect_image(IMAGE, tags, ["/l2", "/l1"])
    assert shown["RootFS"]["Layers"] == ["sha256:x", "sha256:y"]
    assert shown["Config"]["Cmd"] == ["sh"]
    assert shown["GraphDriver"]["Data"] == {"UpperDir": "/l2", "LowerDir": "/l1"}
    steps = history(IMAGE, tags, {"x": 1, "y": 2})
    assert [step["Size"] for step in steps] == [2, 1]
    assert [step["CreatedBy"] for step in steps] == ["two", "one"]
    assert (steps[0]["Id"], steps[1]["Id"], steps[1]["Created"]) == (IMAGE.id, "<missing>", 1735689600)


def test_steps_without_a_layer_and_layers_without_a_step() -> None:
    config = json.loads(IMAGE.config) | {
        "history": [{"created_by": "FROM"}, {"created_by": "ENV", "empty_layer": True}]
    }
    steps = history(replace(IMAGE, config=json.dumps(config)), [], {"x": 1, "y": 2})
    assert [(step["CreatedBy"], step["Size"]) for step in steps] == [("", 2), ("ENV", 0), ("FROM", 1)]


def test_an_image_without_any_facts_can_be_shown() -> None:
    bare = replace(IMAGE, config="{}")
    assert history(bare, [], {})[0]["Id"] == IMAGE.id
    assert layers(bare, [], {}) == {"Id": IMAGE.id, "RepoTags": [], "Layers": []}
    assert history(bare, [], {})[0]["Size"] == IMAGE.size
    assert inspect_image(bare, [], [])["Config"] == {}


MACHINE = Machine(
    name="box",
    kernel="6.18",
    architecture="x86_64",
    operating_system="Debian",
    system_version="12",
    cpus=4,
    memory=8 << 30,
    identity="abc",
    python="3.11.2",
    pysup="0.1.0",
    cgroup_version=1,
    controllers=frozenset({"cpu", "memory"}),
)


def test_info_counts_the_containers() -> None:
    rows = [container(), container(state="paused"), container(state="exited"), container(state="backoff")]
    shown = info(
        MACHINE, Settings(), rows, images=2, warnings=["careful"], filesystem="ext4", now="x", environment={}
    )
    assert (shown["Containers"], shown["ContainersRunning"], shown["ContainersPaused"]) == (4, 2, 1)
    assert (shown["ContainersStopped"], shown["Warnings"]) == (1, ["careful"])
    assert (shown["MemoryLimit"], shown["PidsLimit"]) == (True, False)
    json.dumps(shown)


def test_version_names_the_api() -> None:
    shown = version(MACHINE)
    assert (shown["ApiVersion"], shown["MinAPIVersion"], shown["Arch"]) == ("1.47", "1.40", "amd64")
    assert shown["Components"][0]["Name"] == "Engine"
