"""Volumes as people and tools use them: the docker CLI, pysup's own, and docker-py's idioms, on a real daemon."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest
from docker.errors import APIError, NotFound
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def clean(shared: Daemon) -> Iterator[None]:
    """No container and no volume, before and after."""
    yield
    shared.remove_containers()
    with closing(shared.client()) as client:
        client.post("/volumes/prune", query={"filters": '{"all": ["true"]}'})
    assert volumes(shared) == []
    assert list((shared.root / "volumes").iterdir()) == []


@pytest.fixture
def client(shared: Daemon) -> Iterator[docker.DockerClient]:
    """A client of docker's SDK."""
    found = docker.DockerClient(base_url=f"unix://{shared.socket}", version="auto", timeout=60)
    yield found
    found.close()


def volumes(daemon: Daemon, *flags: str) -> list[str]:
    return daemon.docker("volume", "ls", "-q", *flags).stdout.split()


def run(daemon: Daemon, *words: str) -> str:
    """The output of a container that has to end well."""
    done = daemon.docker("run", "--rm", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- named ---------------------------------------------------------------------------------------------------


def test_a_volume_outlives_its_containers(shared: Daemon) -> None:
    run(shared, "-v", "data:/data", "host", "sh", "-c", "echo kept > /data/file")
    assert run(shared, "-v", "data:/elsewhere", "host", "cat", "/elsewhere/file") == "kept\n"
    mounted = shared.docker("volume", "inspect", "data", "-f", "{{.Mountpoint}}").stdout.strip()
    assert mounted == f"{shared.root}/volumes/data/_data"
    assert Path(mounted, "file").read_text() == "kept\n"


def test_a_read_only_volume_cannot_be_written(shared: Daemon) -> None:
    done = shared.docker("run", "--rm", "-v", "data:/data:ro", "host", "touch", "/data/x")
    assert (done.returncode, "Read-only file system" in done.stderr) == (1, True)


def test_a_volume_in_use_stays_and_its_user_is_named(shared: Daemon) -> None:
    shared.docker("create", "--name", "web", "-v", "data:/data", "host", "true")
    for force in ((), ("-f",)):
        done = shared.docker("volume", "rm", *force, "data")
        assert (done.returncode, "volume is in use by container web" in done.stderr) == (1, True)
    shared.docker("rm", "web")
    assert shared.docker("volume", "rm", "data").returncode == 0


def test_creating_it_again_finds_it(shared: Daemon) -> None:
    first = shared.docker("volume", "create", "--label", "a=1", "data")
    again = shared.pysup("volume", "create", "--label", "b=2", "data")
    assert first.stdout == again.stdout == "data\n"
    assert json.loads(shared.docker("volume", "inspect", "data").stdout)[0]["Labels"] == {"a": "1"}


def test_volumes_are_found_by_filters(shared: Daemon) -> None:
    shared.docker("volume", "create", "--label", "a=1", "data1")
    shared.docker("volume", "create", "data2")
    shared.docker("create", "-v", "data2:/d", "host", "true")
    assert volumes(shared, "--filter", "label=a=1") == ["data1"]
    assert volumes(shared, "--filter", "name=ta2") == ["data2"]
    assert volumes(shared, "--filter", "dangling=true") == ["data1"]
    assert volumes(shared, "--filter", "dangling=false") == ["data2"]
    assert volumes(shared, "--filter", "driver=nope") == []
    assert shared.docker("ps", "-aq", "--filter", "volume=data2").stdout.count("\n") == 1
    assert shared.docker("ps", "-aq", "--filter", "volume=data1").stdout == ""


def test_pysups_commands_are_dockers(shared: Daemon) -> None:
    shared.docker("volume", "create", "--label", "a=1", "data1")
    for words in (
        ("volume", "ls"),
        ("volume", "ls", "--format", "json"),
        ("volume", "ls", "--format", '{{.Name}} {{.Label "a"}} {{.Mountpoint}}'),
        ("volume", "inspect", "data1"),
        ("inspect", "data1"),
        ("inspect", "--type", "volume", "-f", "{{.Name}}", "data1"),
        ("volume", "rm", "-f", "nope"),
        ("volume", "prune", "-f", "--filter", "label=zz"),
        ("volume", "rm", "data1"),
    ):
        if words == ("volume", "rm", "data1"):
            shared.docker("volume", "create", "data1")
        ours = shared.pysup(*words)
        if words == ("volume", "rm", "data1"):
            shared.docker("volume", "create", "data1")
        theirs = shared.docker(*words)
        assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout), words


# -- anonymous -----------------------------------------------------------------------------------------------


def test_an_anonymous_volume_goes_with_its_container(shared: Daemon) -> None:
    run(shared, "-v", "/data", "host", "touch", "/data/x")
    assert volumes(shared) == []
    shared.docker("run", "--name", "web", "-v", "/data", "-v", "named:/n", "host", "touch", "/data/x")
    (mine,) = [name for name in volumes(shared) if name != "named"]
    assert (len(mine), (shared.root / "volumes" / mine / "_data" / "x").exists()) == (64, True)
    shared.docker("start", "-a", "web")
    assert sorted(volumes(shared)) == sorted([mine, "named"])
    shared.docker("rm", "-v", "web")
    assert volumes(shared) == ["named"]


def test_without_v_it_stays_until_it_is_pruned(shared: Daemon) -> None:
    shared.docker("create", "--name", "web", "-v", "/data", "-v", "named:/n", "host", "true")
    shared.docker("rm", "web")
    assert len(volumes(shared)) == 2
    assert "Total reclaimed space: 0B" in shared.docker("volume", "prune", "-f").stdout
    assert volumes(shared) == ["named"]


def test_a_container_that_is_refused_leaves_no_volume(shared: Daemon) -> None:
    shared.docker("create", "--name", "web", "host", "true")
    done = shared.docker("create", "--name", "web", "-v", "/data", "host", "true")
    assert (done.returncode, volumes(shared)) == (1, [])
    assert shared.pysup("run", "--rm", "-v", "/data", "host", "no-such-command").returncode == 127
    assert volumes(shared) == []


# -- from others ---------------------------------------------------------------------------------------------


def test_volumes_from_another_container(shared: Daemon, tmp_path: Path) -> None:
    bind = f"{tmp_path}:/bind"
    shared.docker("create", "--name", "data", "-v", "/anon", "-v", "named:/named", "-v", bind, "host", "true")
    run(
        shared,
        "--volumes-from",
        "data",
        "host",
        "sh",
        "-c",
        "for d in anon named bind; do echo hi > /$d/f; done",
    )
    assert (
        run(shared, "--volumes-from", "data:ro", "host", "cat", "/anon/f", "/named/f", "/bind/f")
        == "hi\n" * 3
    )
    done = shared.docker("run", "--rm", "--volumes-from", "data:ro", "host", "touch", "/named/x")
    assert "Read-only file system" in done.stderr
    shared.docker("create", "--name", "heir", "--volumes-from", "data", "host", "true")
    shared.docker("rm", "-v", "data")
    assert len(volumes(shared)) == 2, "the heir has it still"
    assert run(shared, "--volumes-from", "heir", "host", "cat", "/anon/f") == "hi\n"
    shared.docker("rm", "-v", "heir")
    assert volumes(shared) == ["named"]


def test_a_part_of_a_file_system_is_mounted(shared: Daemon, tmp_path: Path) -> None:
    for place in ("one/part/deep", "two/beside", "one/etc"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "one/part/file").write_text("shown")
    (tmp_path / "one/up").symlink_to("/")
    (tmp_path / "one/out").symlink_to("../../../../etc")
    lower = f"o=lowerdir={tmp_path}/one:{tmp_path}/two"
    shared.pysup(
        "volume", "create", "-o", "type=overlay", "-o", "device=over", "-o", lower, "over", check=True
    )

    def seen(subpath: str, *command: str) -> subprocess.CompletedProcess[str]:
        mount = f"type=volume,src=over,dst=/srv/part,volume-subpath={subpath}"
        return shared.pysup("run", "--rm", "--mount", mount, "host", *command)

    assert seen("part", "sh", "-c", "cd /srv/part; echo *; cat file").stdout == "deep file\nshown"
    assert (
        seen("up/part/deep", "sh", "-c", "ls -A /srv/part; grep -c /srv/part /proc/self/mounts").stdout
        == "1\n"
    )
    assert seen("out", "ls", "-A", "/srv/part").stdout == "", "the volume's own etc, not the host's"
    for subpath, cause in (
        ("nowhere", "subpath nowhere: No such file or directory"),
        ("part/file", "subpath part/file: Not a directory"),
    ):
        refused = seen(subpath, "true")
        assert refused.returncode == 125 and cause in refused.stderr
    shared.pysup("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory", check=True)
    mount = "type=volume,src=memory,dst=/srv/part,volume-subpath=x"
    refused = shared.pysup("run", "--rm", "--mount", mount, "host", "true")
    assert "a volume in memory begins empty in each container, so there is no subpath x" in refused.stderr
    shared.pysup("volume", "rm", "over", "memory", check=True)


def test_volumes_from_nobody_is_not_found(shared: Daemon) -> None:
    done = shared.docker("create", "--volumes-from", "nope", "host", "true")
    assert "No such container: nope" in done.stderr


# -- docker-py: what its integration modules for volumes do --------------------------------------------------


def test_sdk_creates_and_inspects(client: docker.DockerClient) -> None:
    volume = client.volumes.create("perfectcherryblossom", driver="local", labels={"labelkey": "labelvalue"})
    assert (volume.id, volume.name) == ("perfectcherryblossom", "perfectcherryblossom")
    assert volume.attrs["Labels"] == {"labelkey": "labelvalue"}
    assert client.volumes.get(volume.id).attrs["Driver"] == "local"
    assert client.api.inspect_volume(volume.name)["Scope"] == "local"


def test_sdk_lists_and_removes(client: docker.DockerClient) -> None:
    volume = client.volumes.create("dockerpytest_1")
    assert volume in client.volumes.list()
    assert volume in client.volumes.list(filters={"name": "dockerpytest_"})
    assert volume not in client.volumes.list(filters={"name": "foobar"})
    volume.remove()
    assert volume not in client.volumes.list()


def test_sdk_sees_dockers_errors(client: docker.DockerClient) -> None:
    with pytest.raises(APIError):
        client.api.create_volume("perfectcherryblossom", "bogus")
    for look in (client.api.inspect_volume, client.api.remove_volume):
        with pytest.raises(NotFound):
            look("embodimentofscarletdevil")
    client.volumes.create("embodimentofscarletdevil")
    client.api.remove_volume("embodimentofscarletdevil", force=True)


def test_sdk_prunes(client: docker.DockerClient) -> None:
    unnamed, named = client.volumes.create(), client.volumes.create("named")
    assert client.api.prune_volumes()["VolumesDeleted"] == [unnamed.name]
    assert client.volumes.list() == [named]
    assert client.volumes.prune(filters={"all": True})["VolumesDeleted"] == ["named"]


def test_sdk_runs_with_a_named_volume(client: docker.DockerClient) -> None:
    client.volumes.create("some_volume")
    place = {"some_volume": {"bind": "/insidecontainer", "mode": "rw"}}
    client.containers.run("host", "sh -c 'echo hello > /insidecontainer/test'", volumes=place, remove=True)
    found = client.containers.run("host", "cat /insidecontainer/test", volumes=place, remove=True)
    assert found == b"hello\n"


def test_sdk_keeps_the_name_of_a_driver(client: docker.DockerClient) -> None:
    made = client.containers.create("host", "true", volume_driver="foo")
    assert made.attrs["HostConfig"]["VolumeDriver"] == "foo"
