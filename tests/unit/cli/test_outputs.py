"""Golden outputs: rows of the API as the tables and lines that people read."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pysup.supervisor.cli.commands import df, events, history, images, info, prune, ps, stats
from pysup.supervisor.cli.output import rendered
from pysup.supervisor.cli.output.ports import displayed
from pysup.supervisor.cli.output.template import TemplateError

ID = "4f2a" + "0" * 60


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def container(**fields: Any) -> dict[str, Any]:
    return {
        "Id": ID,
        "Names": ["/web"],
        "Image": "host",
        "ImageID": "sha256:" + "ab" * 32,
        "Command": "python3 -m http.server 8000",
        "Created": int(time.time()) - 7200,
        "State": "running",
        "Status": "Up 2 hours",
        "Ports": [],
        "Labels": {"b": "2", "a": "1"},
        "SizeRw": 12_000,
        "SizeRootFs": 1_200_000_000,
        "Mounts": [{"Source": "/srv/a-very-long-directory"}],
        "NetworkSettings": {"Networks": {"host": {}}},
        **fields,
    }


def test_ps() -> None:
    assert ps.CONTAINERS.text([container()]) == (
        "CONTAINER ID   IMAGE     COMMAND                  CREATED       STATUS       PORTS     NAMES\n"
        '4f2a00000000   host      "python3 -m http.ser…"   2 hours ago   Up 2 hours             web\n'
    )


def test_ps_in_full_and_with_sizes() -> None:
    shown = ps.SIZED.text([container()], short=False).splitlines()[1]
    assert shown.startswith(f'{ID}   host      "python3 -m http.server 8000"   2 hours ago   Up 2 hours   ')
    assert shown.endswith("web       12kB (virtual 1.2GB)")


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("{{.ID}}: {{.Names}}", "4f2a00000000: web\n"),
        ('{{.Label "a"}} {{.Labels}}', "1 a=1,b=2\n"),
        ("{{.Mounts}} {{.Networks}} {{.State}}", "/srv/a-very-lo… host running\n"),
        ("{{.Size}}", "12kB (virtual 1.2GB)\n"),
        (r"table {{.Names}}\t{{.Status}}", "NAMES     STATUS\nweb       Up 2 hours\n"),
    ],
)
def test_ps_formats(form: str, shown: str) -> None:
    assert ps.CONTAINERS.text([container()], form) == shown


def test_an_unknown_field_is_said() -> None:
    with pytest.raises(TemplateError, match="no field 'Nmae' here; there are Command, "):
        ps.CONTAINERS.text([container()], "{{.Nmae}}")


def test_published_ports() -> None:
    ports = [
        {"IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"PrivatePort": 53, "Type": "udp"},
    ]
    assert ps.CONTAINERS.text([container(Ports=ports)], "{{.Ports}}") == "53/udp, 127.0.0.1:8080->80/tcp\n"


def test_published_ports_in_a_row_are_one_range() -> None:
    """As docker's command line showed them, of the same container."""
    on_both = [
        {"IP": address, "PrivatePort": port, "PublicPort": port, "Type": protocol}
        for address in ("10.0.0.2", "::")
        for port, protocol in ((8000, "tcp"), (8002, "tcp"), (8001, "tcp"), (9000, "udp"), (8005, "tcp"))
    ]
    moved = [{"IP": "10.0.0.2", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}]
    exposed = [{"PrivatePort": port, "Type": "tcp"} for port in (71, 70)]
    assert displayed([*on_both, *moved, *exposed]).split(", ") == [
        "10.0.0.2:8000-8002->8000-8002/tcp",
        "[::]:8000-8002->8000-8002/tcp",
        "70-71/tcp",
        "10.0.0.2:8005->8005/tcp",
        "[::]:8005->8005/tcp",
        "10.0.0.2:9000->9000/udp",
        "[::]:9000->9000/udp",
        "10.0.0.2:8080->80/tcp",
    ]
    assert displayed([]) == ""


def test_the_next_attempt_is_in_the_status() -> None:
    waiting = container(
        State="restarting",
        Status="Restarting (1) 3 seconds ago",
        Pysup={"NextStartAt": "1970-01-01T00:01:04.2Z"},
    )
    assert ps.status(waiting, 60.0) == "Restarting (1) in 4 seconds"
    assert ps.status(waiting, 63.3) == "Restarting (1) in 1 second"
    assert ps.status(waiting, 99.0) == "Restarting (1) in 0 seconds"
    assert ps.status({**waiting, "Status": "Restarting"}, 63.3) == "Restarting in 1 second"
    late = {**waiting, "Pysup": {"NextStartAt": "1970-01-01T01:00:00Z"}}
    assert ps.status(late, 3600 - 119.0) == "Restarting (1) in 119 seconds"
    assert ps.status(late, 3600 - 120.0) == "Restarting (1) in 2 minutes"
    assert ps.status(late, 2.0) == "Restarting (1) in about an hour"
    assert ps.status(container(), 60.0) == "Up 2 hours"


def test_why_there_is_no_next_attempt_is_in_the_status() -> None:
    given_up = container(
        State="exited", Status="Exited (1) 3 seconds ago", Pysup={"GaveUpReason": "crash loop"}
    )
    assert ps.status(given_up, 60.0) == "Exited (1) 3 seconds ago (gave up: crash loop)"
    assert ps.CONTAINERS.text([given_up, container()], "{{.GaveUpReason}}.") == "crash loop.\n.\n"


def test_history() -> None:
    started = time.time() - 120
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(started))
    later = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(started + 90))
    run = {"Number": 1, "StartedAt": f"{moment}.0Z", "EndedAt": f"{later}.5Z", "ExitCode": 137, "Signal": 9}
    runs = [
        {**run, "Cause": "manual", "AskedBy": "root", "EndedBy": "kill"},
        {"Number": 2, "StartedAt": f"{moment}Z", "EndedAt": None, "Cause": "policy", "AskedBy": ""},
    ]
    assert history.RUNS.text(runs[:1]) == (
        "RUN       STARTED         DURATION   ENDED             CAUSE     ASKED BY\n"
        "1         2 minutes ago   1m30.5s    signal 9 (kill)   manual    root\n"
    )
    assert history.RUNS.text(runs, "{{.Ended}} {{.ExitCode}}") == "signal 9 (kill) 137\nrunning \n"


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"EndedAt": None}, "running"),
        ({"EndedAt": "x", "ExitCode": 0, "EndedBy": "itself"}, "exit 0"),
        (
            {"EndedAt": "x", "ExitCode": 137, "Signal": 9, "OOMKilled": True, "EndedBy": "oom"},
            "signal 9 (OOM)",
        ),
        ({"EndedAt": "x", "ExitCode": 143, "Signal": 15, "EndedBy": "stop"}, "signal 15 (stop)"),
        ({"EndedAt": "x", "ExitCode": 127, "Error": "exec nope: not found"}, "exec nope: not found"),
    ],
)
def test_how_a_run_ended(run: dict[str, Any], words: str) -> None:
    assert history.how_it_ended(run) == words


def sample(total: int, system: int) -> dict[str, Any]:
    return {
        "id": ID,
        "name": "/web",
        "cpu_stats": {"cpu_usage": {"total_usage": total}, "system_cpu_usage": system, "online_cpus": 2},
        "precpu_stats": {"cpu_usage": {"total_usage": 0}, "system_cpu_usage": 0},
        "memory_stats": {"usage": 3 << 20, "limit": 1 << 30, "stats": {"inactive_file": 1 << 20}},
        "pids_stats": {"current": 4},
        "blkio_stats": {
            "io_service_bytes_recursive": [{"op": "Read", "value": 2000}, {"op": "write", "value": 3}]
        },
        "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 2}},
    }


def test_stats() -> None:
    header, row = stats.USAGE.text([sample(25, 100)]).splitlines()
    assert header.split("   ")[0] == "CONTAINER ID"
    cells = [cell.strip() for cell in row.split("   ") if cell.strip()]
    assert cells == ["4f2a00000000", "web", "50.00%", "2MiB / 1GiB", "0.20%", "1kB / 2B", "2kB / 3B", "4"]


def test_stats_of_a_container_that_does_not_run() -> None:
    empty = {"id": ID, "name": "/web", "cpu_stats": {"cpu_usage": {"total_usage": 0}}, "precpu_stats": {}}
    assert stats.USAGE.text([empty], "{{.CPUPerc}} {{.MemUsage}} {{.MemPerc}}") == "0.00% 0B / 0B 0.00%\n"


def test_events() -> None:
    event = {
        "Type": "container",
        "Action": "start",
        "Actor": {"ID": ID, "Attributes": {"name": "web", "image": "host"}},
        "time": 60,
        "timeNano": 60_000_000_005,
    }
    assert events.line(event) == f"1970-01-01T00:01:00.000000005Z container start {ID} (image=host, name=web)"


def test_images() -> None:
    image = {
        "Id": "sha256:" + "ab" * 32,
        "RepoTags": ["host:latest", "localhost:5000/x:1"],
        "Created": int(time.time()) - 60 * 60 * 24 * 3,
        "Size": 7_654_321,
    }
    rows = list(images.tagged(image)) + list(images.tagged({**image, "RepoTags": []}))
    assert images.TAGS.text(rows) == (
        "REPOSITORY         TAG       IMAGE ID       CREATED      SIZE\n"
        "host               latest    abababababab   3 days ago   7.65MB\n"
        "localhost:5000/x   1         abababababab   3 days ago   7.65MB\n"
        "<none>             <none>    abababababab   3 days ago   7.65MB\n"
    )


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("a", ("a", "")),
        ("a:1", ("a", "1")),
        ("host:5000/a", ("host:5000/a", "")),
        ("host:5000/a:1", ("host:5000/a", "1")),
    ],
)
def test_references(reference: str, parts: tuple[str, str]) -> None:
    assert images.split_reference(reference) == parts


def test_df() -> None:
    usage = {
        "LayersSize": 1000,
        "Images": [{"Size": 400, "Containers": 1}, {"Size": 600, "Containers": 0}],
        "Containers": [{"State": "running", "SizeRw": 10}, {"State": "exited", "SizeRw": 30}],
        "Volumes": None,
    }
    assert df.USAGE.text(list(df.summary(usage))) == (
        "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\n"
        "Images          2         1         1kB       600B (60%)\n"
        "Containers      2         1         40B       30B (75%)\n"
        "Local Volumes   0         0         0B        0B\n"
        "Build Cache     0         0         0B        0B\n"
    )


def test_prune_report() -> None:
    assert prune.report_lines({"ContainersDeleted": ["a", "b"], "SpaceReclaimed": 1500}) == [
        "Deleted Containers:",
        "a",
        "b",
        "",
        "Total reclaimed space: 1.5kB",
    ]
    images_gone = {
        "ImagesDeleted": [{"Untagged": "a:1"}, {"Deleted": "sha256:b"}],
        "SpaceReclaimed": 1_234_567,
    }
    assert prune.report_lines({"ContainersDeleted": ["a"], "SpaceReclaimed": 1000}, images_gone) == [
        "Deleted Containers:",
        "a",
        "",
        "Deleted Images:",
        "untagged: a:1",
        "deleted: sha256:b",
        "",
        "Total reclaimed space: 1.236MB",
    ]
    assert prune.report_lines({"ContainersDeleted": None, "SpaceReclaimed": 0}) == [
        "Total reclaimed space: 0B"
    ]


def test_forms_of_a_document() -> None:
    assert rendered.rendered([{"A": 1}], "") == '[\n    {\n        "A": 1\n    }\n]\n'
    assert rendered.rendered([], "") == "[]\n"
    assert rendered.rendered([{"A": 1}, {"A": 2}], "json") == '[{"A":1},{"A":2}]\n'
    assert rendered.rendered([{"A": 1}], "{{.A}}") == "1\n"
    assert rendered.rendered_alone({"A": 1}, "json") == '{"A":1}\n'
    assert rendered.rendered_alone({"A": 1}, "{{.A}}") == "1\n"


def test_info_shows_what_the_machine_has() -> None:
    facts = {
        "Containers": 3,
        "MemTotal": 2 << 30,
        "Pysup": {
            "Settings": {
                "LogMaxFiles": 4,
                "LogMaxSize": 16 << 20,
                "LogTotal": 4 << 30,
                "LogRetention": 86400,
                "DefaultPidsLimit": 2048,
            },
            "Controllers": ["cpu", "memory"],
            "Features": {
                "overlayfs": {"present": True, "detail": "built in", "cost": ""},
                "psi": {"present": False, "detail": "", "cost": "no pressure figures"},
            },
        },
    }
    lines = list(info.info_lines(facts))
    assert " Containers: 3" in lines
    assert " Total Memory: 2GiB" in lines
    assert lines[-6:] == [
        " Log Limits: 4 files of 16MiB for a container, 4GiB in total (with indexes), kept 24h0m0s after its removal",
        " Default Pids Limit: 2048",
        " Controllers: cpu memory",
        " Features:",
        "  overlayfs: yes (built in)",
        "  psi: no: no pressure figures",
    ]


def test_version() -> None:
    facts = {
        "Client": {"Version": "1", "ApiVersion": "1.47", "PythonVersion": "3.11", "Os": "linux", "Arch": "x"},
        "Server": {
            "Platform": {"Name": "pysup"},
            "Version": "1",
            "ApiVersion": "1.47",
            "Os": "linux",
            "Arch": "x",
        },
    }
    assert "\n".join(info.version_lines(facts)).startswith(
        "Client: pysup\n Version:             1\n API version:"
    )
    assert "Server: pysup" in list(info.version_lines(facts))
