"""The same API answers, shown by the real docker CLI and by pysup: the outputs must be the same bytes.

A small HTTP server gives canned answers to both. Skipped where there is no docker CLI. (Left out: ``stats``,
where docker shows dashes if a sample takes it 2 seconds; several tags of one image, which docker shuffles.)
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from helpers.small_server import Quiet, SmallServer

pytestmark = pytest.mark.skipif(shutil.which("docker") is None, reason="compares with the docker CLI")

ID = "4f2a" + "0" * 60
IMAGE = "sha256:" + "ab" * 32
NOW = int(time.time())


CONTAINERS = [
    {
        "Id": ID,
        "Names": ["/web"],
        "Image": "host:latest",
        "ImageID": IMAGE,
        "Command": "python3 -m http.server 8000",
        "Created": NOW - 7200,
        "State": "running",
        "Status": "Up 2 hours",
        "Ports": [{"IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}],
        "Labels": {"b": "2", "a": "1"},
        "SizeRw": 12_345,
        "SizeRootFs": 1_234_567_890,
        "Mounts": [{"Type": "bind", "Source": "/srv/a-very-long-directory", "Destination": "/x"}],
        "HostConfig": {"NetworkMode": "host"},
        "NetworkSettings": {"Networks": {"host": {}}},
    },
    {
        "Id": "beef" + "1" * 60,
        "Names": ["/a-name-that-is-long"],
        "Image": IMAGE,
        "ImageID": IMAGE,
        "Command": 'sh -c "é"',
        "Created": NOW - 75 * 60,  # a quarter of an hour from where its words would change
        "State": "exited",
        "Status": "Exited (1) About a minute ago",
        "Ports": [],
        "Labels": {},
        "Mounts": [],
        "HostConfig": {"NetworkMode": "none"},
        "NetworkSettings": {"Networks": {}},
    },
]
IMAGES = [
    {
        "Id": IMAGE,
        "ParentId": "",
        "RepoTags": ["127.0.0.1:5000/team/app:1.2"],
        "RepoDigests": [],
        "Created": NOW - 86400 * 3,
        "Size": 7_654_321,
        "SharedSize": -1,
        "Containers": -1,
        "Labels": None,
    }
]
INSPECTED = {
    "Id": ID,
    "Created": "2026-11-24T00:04:09.5Z",
    "Name": "/web",
    "Path": "sh",
    "Args": ["-c", "true"],
    "State": {"Status": "running", "Running": True, "Pid": 4242, "ExitCode": 0, "Error": ""},
    "RestartCount": 3,
    "HostConfig": {"Memory": 1 << 30, "NetworkMode": "host", "RestartPolicy": {"Name": "always"}},
    "Mounts": [],
    "Config": {"Hostname": "box", "Env": ["A=1", "B=<2>"], "Cmd": ["sh"], "Labels": {"k": "v", "x.y": "z"}},
    "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}, "Networks": {}},
}
EVENTS = [
    {
        "status": action,
        "id": ID,
        "from": "host",
        "Type": "container",
        "Action": action,
        "Actor": {"ID": ID, "Attributes": {"image": "host", "name": "web"}},
        "scope": "local",
        "time": 1_795_461_245,
        "timeNano": 1_795_461_245_017_000_000,
    }
    for action in ("create", "start", "die")
]
NETWORKS = [
    {
        "Id": "36c7" + "0" * 60,
        "Name": "backend",
        "Created": "2026-11-24T00:04:09.5Z",
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv4": True,
        "EnableIPv6": False,
        "Internal": False,
        "Labels": {"com.example.is-a_label": "x"},
    }
]
VOLUMES = [{"Name": "data", "Driver": "local", "Mountpoint": "/x", "Labels": None, "Scope": "local"}]
DISK = {
    "LayersSize": 7_654_321,
    "Images": [{**IMAGES[0], "Containers": 1, "SharedSize": 0}],
    "Containers": CONTAINERS,
    "Volumes": [],
    "BuilderSize": 345_678,
    "BuildCache": [
        {
            "ID": f"{digit}" * 64,
            "Type": "regular",
            "Description": "RUN x",
            "InUse": digit == 1,
            "Shared": digit == 2,
            "Size": 12_345 * digit,
            "CreatedAt": "2026-01-02T03:04:05Z",
            "LastUsedAt": f"2026-01-02T03:04:0{9 - digit}Z",
            "UsageCount": digit,
        }
        for digit in (1, 2)
    ],
}
TOP = {"Titles": ["PID", "COMMAND"], "Processes": [["1", "sleep 1000"], ["23456", "x"]]}


def answer(path: str) -> bytes | None:
    """The body for a path without its version and query; None: 404."""
    canned: dict[str, Any] = {
        "/containers/json": CONTAINERS,
        "/images/json": IMAGES,
        "/containers/web/json": INSPECTED,
        "/containers/bare/json": {**INSPECTED, "Config": {**INSPECTED["Config"], "Labels": {}}},
        "/containers/web/top": TOP,
        "/networks": NETWORKS,
        "/volumes": {"Volumes": VOLUMES, "Warnings": None},
        "/system/df": DISK,
        "/info": {"OSType": "linux"},
        "/version": {"Version": "1", "ApiVersion": "1.47", "Os": "linux", "Arch": "amd64"},
    }
    if path == "/_ping":
        return b"OK"
    if path == "/events":
        return b"".join(json.dumps(event).encode() + b"\n" for event in EVENTS)
    return json.dumps(canned[path]).encode() if path in canned else None


class Canned(Quiet):
    """Plays a daemon."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/v1."):
            path = "/" + path.split("/", 2)[2]
        body = answer(path)
        found, shown = body is not None, body or b'{"message": "no such thing"}'
        self.answer(
            200 if found else 404, shown, Api_Version="1.47", Ostype="linux", Content_Type="application/json"
        )

    do_HEAD = do_DELETE = do_GET


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with SmallServer(Canned) as server:
        yield f"tcp://{server.host}"


def outputs(host: str, words: list[str]) -> list[tuple[int, str]]:
    """(exit code, standard output) of docker and of pysup."""
    made = []
    for command in (["docker"], [sys.executable, "-m", "pysup.supervisor.cli.main"]):
        done = subprocess.run(
            [*command, "-H", host, *words],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": "UTC", "HOME": "/nonexistent"},
            timeout=60,
        )
        made.append((done.returncode, done.stdout or done.stderr))
    return made


@pytest.mark.parametrize(
    "words",
    [
        ["ps"],
        ["ps", "-a", "--no-trunc"],
        ["ps", "-q"],
        ["ps", "-aq", "--no-trunc"],
        ["ps", "-as"],
        ["ps", "-a", "--format", "raw"],
        ["ps", "-as", "--format", "raw"],
        ["ps", "-aq", "--format", "raw"],
        ["ps", "-q", "--format", "{{.Names}}"],
        ["ps", "--format", "{{.ID}}: {{.Names}} {{.Command}}"],
        ["ps", "--format", "table {{.Names}}\\t{{.Ports}}\\t{{.Status}}"],
        ["ps", "--format", "table {{.ID}}\\t{{upper .Names}}"],
        ["ps", "--format", '{{.Label "a"}}|{{.Labels}}|{{.Mounts}}|{{.Networks}}|{{.State}}|{{.RunningFor}}'],
        ["ps", "--format", "{{json .Names}} {{.CreatedAt}} {{.Size}}"],
        ["ps", "--format", '{{if eq .State "running"}}up{{else}}down{{end}}'],
        ["ps", "--format", 'table {{.ID}}\\t{{.Label "com.example.the-b_one"}}\\t{{.Label "a"}}'],
        ["container", "ls", "-l", "--format", "{{.Image}}"],
        ["images"],
        ["images", "-q", "--no-trunc"],
        ["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}}"],
        ["images", "--digests"],
        ["images", "--format", "raw"],
        ["images", "--digests", "--format", "raw"],
        ["images", "-q", "--format", "raw"],
        ["images", "-q", "--format", "{{.Tag}}"],
        ["images", "--digests", "--format", "table {{.ID}}"],
        ["network", "ls", "--format", "raw"],
        ["network", "ls", "-q", "--format", "raw"],
        ["volume", "ls", "--format", "raw"],
        ["volume", "ls", "-q", "--format", "raw"],
        ["system", "df", "--format", "raw"],
        ["images", "--format", "{{.Containers}} {{.SharedSize}} {{.UniqueSize}} {{.VirtualSize}}"],
        ["network", "ls", "--format", "{{json .}}"],
        [
            "network",
            "ls",
            "--format",
            'table {{.Name}}\\t{{.Label "com.example.is-a_label"}}\\t{{.CreatedAt}}',
        ],
        [
            "version",
            "--format",
            "{{.Client.APIVersion}} {{.Client.Os}}/{{.Client.Arch}} {{.Server.APIVersion}}",
        ],
        ["inspect", "-f", '{{index .Config.Labels "none"}}|{{.NetworkSettings.Networks}}', "bare"],
        ["inspect", "-f", "{{.State.Pid}} {{.Name}} {{.Config.Env}}", "web"],
        ["inspect", "-f", "{{json .Config.Labels}}", "web"],
        ["inspect", "-f", "json", "web", "bare"],
        ["inspect", "-f", '{{index .Config.Labels "x.y"}}{{index .Config.Labels "none"}}', "web"],
        ["inspect", "-f", "{{range .Config.Env}}{{println .}}{{end}}", "web"],
        [
            "inspect",
            "-f",
            "{{range $p, $b := .NetworkSettings.Ports}}{{$p}} {{(index $b 0).HostPort}}{{end}}",
            "web",
        ],
        ["inspect", "-f", '{{join .Args ","}} {{len .Args}} {{.HostConfig.Memory}}', "web"],
        ["inspect", "-f", "{{.HostConfig.RestartPolicy.Name}}{{with .State}} {{.Status}}{{end}}", "web"],
        ["system", "df"],
        ["system", "df", "-v"],
        ["system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}} {{.Reclaimable}}"],
        ["port", "web"],
        ["port", "web", "80"],
        ["top", "web"],
        ["events", "--until", "1795461246"],
        ["events", "--until", "1795461246", "--format", "{{.Action}} {{.Actor.Attributes.name}}"],
        ["events", "--until", "1795461246", "--format", "Type={{.Type}}  Status={{.Status}}  ID={{.ID}}"],
        ["events", "--until", "1795461246", "--format", "{{.From}} {{.Scope}} {{.Time}} {{.TimeNano}}"],
        ["events", "--until", "1795461246", "--format", "{{json .}}"],
    ],
)
def test_the_same_bytes(host: str, words: list[str]) -> None:
    docker, pysup = outputs(host, words)
    assert pysup == docker


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["ps", "--filter", "name=none", "--format", "{{.Nope}}"], 1),
        (["ps", "--format", "{{nofunc}}"], 1),
        (["events", "--format", "{{.Nope}}"], 64),
        (["version", "--format", "{{nofunc}}"], 64),
        (["inspect", "--format", "{{.Name", "web"], 64),
        (["inspect", "--format", "{{.Nope}}", "web"], 1),
    ],
)
def test_what_is_wrong_with_a_format_is_told_at_once(host: str, words: list[str], code: int) -> None:
    docker, pysup = outputs(host, words)
    assert (docker[0], pysup[0]) == (code, code)
    assert pysup[1].startswith("pysup: cannot format: ")


def test_a_template_of_all_that_takes_disk(host: str) -> None:
    docker, pysup = outputs(
        host, ["system", "df", "-v", "--format", "{{range .Images}}{{.Repository}} {{.Size}}{{end}}"]
    )
    assert pysup == (docker[0], docker[1] + "\n")


@pytest.mark.parametrize(("words", "code"), [(["rmi", "-f", "none"], 0), (["rmi", "none"], 1)])
def test_an_image_that_is_not_there_is_no_failure_of_rmi_by_force(
    host: str, words: list[str], code: int
) -> None:
    docker, pysup = outputs(host, words)
    assert (docker[0], pysup[0]) == (code, code)
    assert pysup[1].startswith("pysup: ")
