"""The body of a create: what each flag becomes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pysup.supervisor.cli.commands import run
from pysup.supervisor.cli.flags import Syntax, UsageError
from pysup.supervisor.cli.options import create_body, run_flags

RUN = Syntax("run", "", "", run_flags.RUN, 0, None, interspersed=False)


def body(*argv: str, detach: bool = False) -> dict[str, Any]:
    return create_body.build(RUN.parse([*argv, "host", "sh", "-c", "true"]), detach=detach)


def host(*argv: str) -> dict[str, Any]:
    made: dict[str, Any] = body(*argv)["HostConfig"]
    return made


def test_nothing_given() -> None:
    assert body() == {
        "Image": "host",
        "Cmd": ["sh", "-c", "true"],
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "StdinOnce": False,
        "HostConfig": {},
    }


@pytest.mark.parametrize(
    ("argv", "field", "value"),
    [
        (["-h", "box"], "Hostname", "box"),
        (["-u", "1:2"], "User", "1:2"),
        (["-w", "/x"], "WorkingDir", "/x"),
        (["--stop-signal", "INT"], "StopSignal", "INT"),
        (["--stop-timeout", "0"], "StopTimeout", 0),
        (["-t"], "Tty", True),
        (["--entrypoint", "x"], "Entrypoint", ["x"]),
        (["--entrypoint="], "Entrypoint", [""]),
        (["-e", "A=1", "-e", "B="], "Env", ["A=1", "B="]),
        (["-l", "a=1", "-l", "b"], "Labels", {"a": "1", "b": ""}),
        (["-v", "/data"], "Volumes", {"/data": {}}),
    ],
)
def test_config(argv: list[str], field: str, value: object) -> None:
    assert body(*argv)[field] == value


@pytest.mark.parametrize(
    ("argv", "field", "value"),
    [
        (["-m", "1g"], "Memory", 1 << 30),
        (["--memory-swap=-1"], "MemorySwap", -1),
        (["--cpus", "1.5"], "NanoCpus", 1_500_000_000),
        (["--cpu-shares", "2"], "CpuShares", 2),
        (["--pids-limit", "-1"], "PidsLimit", -1),
        (["--blkio-weight", "300"], "BlkioWeight", 300),
        (
            ["--device-read-bps", "/dev/sda:1mb"],
            "BlkioDeviceReadBps",
            [{"Path": "/dev/sda", "Rate": 1 << 20}],
        ),
        (["--device-write-iops", "/dev/sda:9"], "BlkioDeviceWriteIOps", [{"Path": "/dev/sda", "Rate": 9}]),
        (["--ulimit", "nofile=1:2"], "Ulimits", [{"Name": "nofile", "Soft": 1, "Hard": 2}]),
        (["--ulimit", "core=-1"], "Ulimits", [{"Name": "core", "Soft": -1, "Hard": -1}]),
        (["--sysctl", "net.b=1"], "Sysctls", {"net.b": "1"}),
        (["--tmpfs", "/t:size=1m", "--tmpfs", "/u"], "Tmpfs", {"/t": "size=1m", "/u": ""}),
        (["-v", "/a:/b:ro"], "Binds", ["/a:/b:ro"]),
        (["-v", "./a:/b"], "Binds", [f"{os.getcwd()}/a:/b"]),
        (["--net", "host"], "NetworkMode", "host"),
        (["--network=none"], "NetworkMode", "none"),
        (["--pid", "host"], "PidMode", "host"),
        (["--rm"], "AutoRemove", True),
        (["--rm=false"], "AutoRemove", False),
        (["--init"], "Init", True),
        (["--shm-size", "1m"], "ShmSize", 1 << 20),
        (["--restart", "on-failure:2"], "RestartPolicy", {"Name": "on-failure", "MaximumRetryCount": 2}),
        (["--log-opt", "max-size=1m"], "LogConfig", {"Type": "", "Config": {"max-size": "1m"}}),
        (["--restart-delay", "50ms"], "Pysup", {"RestartDelay": 0.05}),
        (["--restart-limit", "5/1m"], "Pysup", {"RestartLimit": {"Count": 5, "Window": 60.0}}),
        (["--timeout", "90"], "Pysup", {"RunTimeout": 90.0}),
        (
            ["--uidmap", "0:1000:5", "--uidmap", "5:2000:1"],
            "Pysup",
            {"UidMaps": [[0, 1000, 5], [5, 2000, 1]]},
        ),
    ],
)
def test_host_config(argv: list[str], field: str, value: object) -> None:
    assert host(*argv) == {field: value}


def test_a_mount_is_docker_s_document() -> None:
    (mount,) = host("--mount", "type=bind,src=/a,dst=/b,readonly")["Mounts"]
    assert (mount["Type"], mount["Source"], mount["Target"], mount["ReadOnly"]) == ("bind", "/a", "/b", True)


def test_a_rootfs_takes_the_place_of_the_image() -> None:
    made = create_body.build(RUN.parse(["--rootfs", "/srv/root", "sh", "-c", "true"]))
    assert made["Image"] == ""
    assert made["Cmd"] == ["sh", "-c", "true"]
    assert made["HostConfig"] == {"Pysup": {"Rootfs": "/srv/root"}}


@pytest.mark.parametrize(
    ("argv", "streams"),
    [
        ([], (False, True, True)),
        (["-i"], (True, True, True)),
        (["-a", "stdout"], (False, True, False)),
        (["-a", "STDIN", "-a", "stderr"], (True, False, True)),
        (["-i", "-a", "stdout"], (True, True, False)),
    ],
)
def test_streams(argv: list[str], streams: tuple[bool, bool, bool]) -> None:
    made = body(*argv)
    assert (made["AttachStdin"], made["AttachStdout"], made["AttachStderr"]) == streams


def test_detached_attaches_nothing_and_keeps_stdin_open() -> None:
    made = body("-i", detach=True)
    assert not any(made[name] for name in ("AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"))
    assert made["OpenStdin"]


@pytest.mark.parametrize(
    ("argv", "cause"),
    [
        (["--rm", "--restart", "always"], "cannot specify both --restart and --rm"),
        (["-a", "stdwhat"], "valid streams are"),
        (["--uidmap", "0:1"], "container:host:size"),
        (["--device-read-bps", "sda:1"], "bad format for device path"),
        (["--device-read-bps", "/dev/sda:x"], "invalid size"),
        (["--device", "a:b:c:d"], "invalid device specification"),
        (["--device-cgroup-rule", "x 1:2 r"], "invalid device cgroup format"),
        (["--security-opt", "seccomp"], "Invalid --security-opt"),
        (["--security-opt", "seccomp=/nowhere"], "opening seccomp profile"),
        (["--security-opt", "seccomp=/etc/passwd"], "is not JSON"),
        (["--mount", "type=bind"], "--mount"),
        (["--device", "sda"], "is not an absolute path"),
        (["--health-retries", "-1"], "cannot be negative"),
    ],
)
def test_what_is_wrong_in_itself(argv: list[str], cause: str) -> None:
    with pytest.raises(UsageError, match=cause) as caught:
        body(*argv)
    assert str(caught.value).startswith("cannot parse the arguments: ")
    assert caught.value.exit_code is None
    for command in (run.run, run.create):
        with pytest.raises(UsageError) as caught:
            command([*argv, "host"])
        assert caught.value.exit_code == 125


@pytest.mark.parametrize(
    ("argv", "cause"),
    [
        (["--sysctl", "net.b"], "is not allowed"),
        (["--sysctl", "a.b=1"], "is not allowed"),
        (["--pid", "x"], "neither private, host nor container:NAME"),
        (["--uts", "container:"], "neither private, host nor container:NAME"),
        (["--volume", ""], "invalid empty volume spec"),
        (["--shm-size", "-1"], "invalid size"),
        (["-e", "=x"], "invalid environment variable"),
        (["-l", "=x"], "empty name"),
    ],
)
def test_what_cannot_be_parsed(argv: list[str], cause: str) -> None:
    with pytest.raises(UsageError, match=f"invalid argument .* {cause}") as caught:
        body(*argv)
    assert caught.value.exit_code == 125


def test_confinement(tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text('{\n  "defaultAction": "SCMP_ACT_ALLOW"\n}\n')
    made = host(
        "--privileged", "--device", "/dev/a", "--device", "/dev/b:r", "--device", "/dev/c:/d:rw",
        "--device-cgroup-rule", "c 42:* rmw", "--security-opt", f"seccomp={profile}",
        "--security-opt", "no-new-privileges", "--security-opt", "systempaths=unconfined",
    )  # fmt: skip
    assert made == {
        "Privileged": True,
        "Devices": [
            {"PathOnHost": "/dev/a", "PathInContainer": "/dev/a", "CgroupPermissions": "rwm"},
            {"PathOnHost": "/dev/b", "PathInContainer": "/dev/b", "CgroupPermissions": "r"},
            {"PathOnHost": "/dev/c", "PathInContainer": "/d", "CgroupPermissions": "rw"},
        ],
        "DeviceCgroupRules": ["c 42:* rmw"],
        "SecurityOpt": ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}', "no-new-privileges"],
        "MaskedPaths": [],
        "ReadonlyPaths": [],
    }
    words = ["seccomp=unconfined", "seccomp:builtin", "apparmor=x"]
    assert host(*(f"--security-opt={word}" for word in words)) == {"SecurityOpt": words}


def test_no_image_is_docker_s_code_for_missing_words() -> None:
    with pytest.raises(UsageError, match="an IMAGE") as caught:
        create_body.build(RUN.parse([]))
    assert caught.value.exit_code == 1


def test_when_to_pull() -> None:
    with pytest.raises(UsageError, match="invalid pull option: 'sometimes'"):
        body("--pull", "sometimes")


def test_every_body_is_json() -> None:
    json.dumps(body("-it", "-m", "1g", "--cpus", "1", "--timeout", "1s", "--mount", "type=tmpfs,dst=/x"))
