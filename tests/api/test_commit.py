"""commit: an image of what a container has written, which other engines read; and what it leaves when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.daemon import Daemon
from helpers.images import Image, busybox, layer, oci_archive

pytestmark = pytest.mark.kernel

BASE = busybox()
DATA = layer(("data/kept", {}, b"kept"), ("data/gone", {}, b"gone"), ("old/file", {}, b"old"))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("commit")) as started:
        config = {
            "Env": ["PATH=/bin", "A=image"],
            "Cmd": ["sh"],
            "Shell": ["/bin/sh", "-c"],
            "OnBuild": ["RUN true"],
        }
        image = Image([BASE, DATA], config, ["base:1"])
        started.pysup("load", stdin=oci_archive(image), check=True)
        yield started


SCRIPT = """rm /data/gone; rm -r /old; mkdir /old; echo new > /old/new; echo changed > /data/kept; echo x > /added
ln /added /data/link; mkdir /tmp/d; chmod 700 /tmp/d"""


def of(daemon: Daemon, image: str) -> Any:
    return json.loads(daemon.docker("image", "inspect", image).stdout)[0]


def run(daemon: Daemon, image: str, script: str) -> str:
    return daemon.pysup("run", "--rm", image, "sh", "-c", script, check=True).stdout


def test_what_was_written_is_on_top_of_the_image(daemon: Daemon, tmp_path: Path) -> None:
    daemon.pysup(
        "run", "--name", "made", "-v", "/vol", "--tmpfs", "/mem", "base:1", "sh", "-c", SCRIPT, check=True
    )
    made = daemon.pysup("commit", "-a", "me", "-m", "because", "made", "made:1", check=True).stdout.strip()
    look = "cat /data/kept /added /old/*; ls /data /old /; ls -ld /tmp/d; stat -c %h /added"
    shown = run(daemon, "made:1", look).split()
    assert shown[:3] == ["changed", "x", "new"]
    assert {"kept", "link", "vol", "mem"} <= set(shown) and not {"gone", "file"} & set(shown)
    assert shown[-1] == "2" and "drwx------" in shown
    image = of(daemon, "made:1")
    assert (image["Id"], image["Author"], image["Comment"]) == (made, "me", "because")
    assert len(image["RootFS"]["Layers"]) == 3
    daemon.pysup("save", "made:1", "-o", str(tmp_path / "a.tar"), check=True)
    listed = subprocess.run(
        ["skopeo", "inspect", "--config", f"docker-archive:{tmp_path}/a.tar:made:1"],
        capture_output=True,
        check=True,
    )
    config = json.loads(listed.stdout)
    assert config["history"][-1]["comment"] == "because" and config["history"][-1]["created_by"].startswith(
        "sh -c"
    )
    assert config["rootfs"]["diff_ids"] == image["RootFS"]["Layers"]
    daemon.pysup("rm", "-v", "made", check=True)
    daemon.pysup("rmi", "made:1", check=True)
    assert run(daemon, "base:1", "cat /data/kept") == "kept"


def test_nothing_of_pysups_own_is_in_the_layer(daemon: Daemon) -> None:
    """The image has no /etc, /proc, /sys and /dev: pysup makes them to mount there."""
    daemon.pysup("run", "--name", "plain", "base:1", "true", check=True)
    daemon.pysup("commit", "plain", "plain:1", check=True)
    assert of(daemon, "plain:1")["RootFS"]["Layers"] == of(daemon, "base:1")["RootFS"]["Layers"]
    daemon.pysup("rm", "plain", check=True)
    daemon.pysup("rmi", "plain:1", check=True)


def test_the_configuration_is_the_containers_with_the_changes(daemon: Daemon) -> None:
    daemon.docker(
        "create", "--name", "conf", "-e", "B=mine", "-l", "l=1", "-w", "/data", "-u", "5", "base:1", "ls"
    )
    changes = ["ENV A=changed", "EXPOSE 80", 'ENTRYPOINT ["sh", "-c"]', "LABEL m=2", "ONBUILD RUN x"]
    flags = [word for change in changes for word in ("-c", change)]
    assert daemon.docker("commit", *flags, "conf", "conf:1").returncode == 0
    config = of(daemon, "conf:1")["Config"]
    assert config == {
        "User": "5",
        "ExposedPorts": {"80/tcp": {}},
        "Env": ["A=changed", "B=mine", "PATH=/bin"],
        "Entrypoint": ["sh", "-c"],
        "WorkingDir": "/data",
        "Labels": {"l": "1", "m": "2"},
        "OnBuild": ["RUN x"],
        "Shell": ["/bin/sh", "-c"],
        **{name: config[name] for name in ("StopSignal",) if name in config},
    }
    assert daemon.docker("commit", "-c", "RUN x", "conf").stderr.count("RUN is not one of") == 1
    daemon.pysup("rm", "conf", check=True)
    daemon.pysup("rmi", "conf:1", check=True)


def test_a_running_container_goes_on_whatever_becomes_of_the_commit(daemon: Daemon) -> None:
    script = "while true; do echo $((n=n+1)) > /count; cat /count > /copy; done"
    daemon.pysup("run", "-d", "--name", "busy", "base:1", "sh", "-c", script, check=True)
    for pause in ("true", "false", "true"):
        daemon.pysup("commit", f"--pause={pause}", "busy", "busy:1", check=True)
        first = run_in(daemon, "cat /count")
        while run_in(daemon, "cat /count") == first:
            time.sleep(0.01)
    assert daemon.inspect("busy")["State"]["Status"] == "running"
    assert {"count", "copy"} <= set(run(daemon, "busy:1", "ls /").split())
    refused = daemon.pysup("commit", "-c", "CMD", "busy")
    assert (refused.returncode, "no argument" in refused.stderr) == (1, True)
    assert run_in(daemon, "echo moves") == "moves\n"
    daemon.pysup("rm", "-f", "busy", check=True)
    daemon.pysup("rmi", "busy:1", check=True)


def run_in(daemon: Daemon, script: str) -> str:
    return daemon.pysup("exec", "busy", "sh", "-c", script, check=True).stdout


def test_one_that_a_user_paused_stays_paused(daemon: Daemon) -> None:
    daemon.pysup("run", "-d", "--name", "paused", "base:1", "sleep", "600", check=True)
    daemon.pysup("pause", "paused", check=True)
    daemon.pysup("commit", "paused", check=True)
    assert daemon.inspect("paused")["State"]["Status"] == "paused"
    (pid,) = [daemon.inspect("paused")["State"]["Pid"]]
    assert "FROZEN" in _freezer(daemon, pid)
    daemon.pysup("unpause", "paused", check=True)
    daemon.pysup("rm", "-f", "paused", check=True)


def _freezer(daemon: Daemon, pid: int) -> str:
    (line,) = [one for one in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if "freezer" in one]
    return Path(f"/sys/fs/cgroup/freezer{line.rpartition(':')[2]}/freezer.state").read_text()


def test_owners_in_a_user_namespace_are_those_inside(daemon: Daemon) -> None:
    flags = ("--name", "mapped", "--uidmap", "0:100000:65536")
    script = "mkdir /own; echo x > /own/mine; sleep 0 > /run.pid"
    daemon.pysup("run", *flags, "base:1", "sh", "-c", script, check=True)
    daemon.pysup("commit", "mapped", "mapped:1", check=True)
    assert run(daemon, "mapped:1", "stat -c '%u %g' /own /own/mine /run.pid").split() == ["0"] * 6
    daemon.pysup("rm", "mapped", check=True)
    daemon.pysup("rmi", "mapped:1", check=True)


def test_what_has_no_image_below_it_is_refused(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    daemon.pysup("create", "--name", "machine", "host", "true", check=True)
    daemon.pysup("create", "--name", "directory", "--rootfs", str(tmp_path / "root"), "true", check=True)
    for name, cause in (("machine", "the machine's own root"), ("directory", "made of a directory")):
        refused = daemon.docker("commit", name)
        assert (refused.returncode, cause in refused.stderr) == (1, True), refused.stderr
        daemon.pysup("rm", name, check=True)
    assert "No such container" in daemon.docker("commit", "nobody").stderr
    assert os.listdir(daemon.root / "images" / "tmp") == []


def test_everybody_is_told(daemon: Daemon) -> None:
    daemon.pysup("create", "--name", "told", "base:1", "true", check=True)
    since = time.time()
    made = daemon.docker("commit", "-m", "why", "told", "told:1").stdout.strip()
    shown = daemon.docker(
        "events", "--since", str(since), "--until", str(time.time() + 0.001), "--format", "{{json .}}"
    )
    events = [json.loads(line) for line in shown.stdout.splitlines()]
    (of_container,) = [one for one in events if one["Type"] == "container"]
    attributes = of_container["Actor"]["Attributes"]
    assert (of_container["Action"], attributes["imageID"], attributes["comment"]) == ("commit", made, "why")
    assert attributes["imageRef"] == "told:1"
    daemon.pysup("rm", "told", check=True)
    daemon.pysup("rmi", "told:1", check=True)
