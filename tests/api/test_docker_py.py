"""docker-py against pysup: the SDK that most scripts use. Its own suite is run elsewhere; here are its idioms."""

from __future__ import annotations

import time
from collections.abc import Iterator

import docker
import pytest
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound
from helpers.daemon import Daemon

pytestmark = [
    pytest.mark.kernel,
    # docker-py leaves the sockets of finished streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def client(tidy: Daemon) -> Iterator[docker.DockerClient]:
    """A client that negotiates the version, as from_env() does."""
    found = docker.DockerClient(base_url=f"unix://{tidy.socket}", version="auto", timeout=60)
    yield found
    found.close()


def test_run_returns_the_output(client: docker.DockerClient) -> None:
    assert client.containers.run("host", ["echo", "hi"], remove=True) == b"hi\n"
    with pytest.raises(ContainerError) as caught:
        client.containers.run("host", ["sh", "-c", "echo bad >&2; exit 4"], remove=True)
    assert (caught.value.exit_status, caught.value.stderr) == (4, b"bad\n")
    assert client.containers.list(all=True) == []


def test_errors_have_their_classes(client: docker.DockerClient) -> None:
    with pytest.raises(NotFound):
        client.containers.get("nope")
    with pytest.raises(ImageNotFound):
        client.images.get("nope")
    with pytest.raises(APIError, match="label='user:x' is not supported yet"):
        client.containers.create("host", "true", security_opt=["label=user:x"])


def test_the_life_of_a_container(client: docker.DockerClient) -> None:
    box = client.containers.run("host", ["sleep", "infinity"], detach=True, name="box", mem_limit="64m")
    box.reload()
    assert (box.status, box.attrs["HostConfig"]["Memory"]) == ("running", 64 << 20)
    assert [one.name for one in client.containers.list(filters={"name": "box", "status": "running"})] == [
        "box"
    ]
    box.pause()
    box.reload()
    assert box.status == "paused"
    box.unpause()
    box.update(mem_limit="100m", memswap_limit="200m")
    assert box.exec_run(["sh", "-c", "echo out; exit 3"]) == (3, b"out\n")
    code, (out, err) = box.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
    assert (code, out, err) == (0, b"out\n", b"err\n")
    assert box.top()["Titles"][0] == "UID"
    assert box.stats(stream=False)["pids_stats"]["current"] == 1
    box.rename("crate")
    box.kill()
    box.reload()
    assert box.status == "exited", "a kill is answered when it has ended"
    assert box.wait()["StatusCode"] == 137
    box.remove()


def test_an_exec_loses_no_output(client: docker.DockerClient) -> None:
    box = client.containers.run("host", ["sleep", "infinity"], detach=True)
    outputs = {box.exec_run(["echo", "out"]).output for _ in range(30)}
    assert outputs == {b"out\n"}
    box.remove(force=True)


def test_logs_are_bytes_lines_and_a_stream(client: docker.DockerClient) -> None:
    box = client.containers.run("host", ["sh", "-c", "echo one; echo two >&2"], detach=True)
    box.wait()
    assert sorted(box.logs().splitlines()) == [b"one", b"two"]
    assert box.logs(stderr=False) == b"one\n"
    assert sorted(box.logs(stream=True, follow=True)) == [b"one\n", b"two\n"]
    assert box.logs(stderr=False, timestamps=True).endswith(b"Z one\n")
    assert box.logs(since=time.time() + 100) == b""
    box.remove()


def test_each_line_of_a_log_comes_by_itself(client: docker.DockerClient) -> None:
    box = client.containers.run("host", ["sh", "-c", "echo one; echo two"], detach=True)
    box.wait()
    assert list(box.logs(stream=True)) == [b"one\n", b"two\n"]
    for _ in range(20):  # what comes with the head would be lost
        assert client.api.attach(box.id, logs=True) == b"one\ntwo\n"
    box.remove()


def test_the_start_of_an_exec_says_how_its_output_comes(client: docker.DockerClient) -> None:
    box = client.containers.run("host", ["sleep", "infinity"], detach=True)
    exec_id = client.api.exec_create(box.id, ["printf", "out"], tty=True, detach_keys="ctrl-p")["Id"]
    assert client.api.exec_start(exec_id) == b"out", "in frames, for a start that says nothing of a terminal"
    assert client.api.exec_inspect(exec_id)["DetachKeys"] == "ctrl-p"
    exec_id = client.api.exec_create(box.id, ["printf", "out"], tty=True)["Id"]
    assert client.api.exec_start(exec_id, tty=True) == b"out"
    box.remove(force=True)


def test_a_container_that_restarts_ends_each_time(client: docker.DockerClient) -> None:
    always = {"Name": "always", "MaximumRetryCount": 0}
    box = client.containers.run("host", ["sh", "-c", "sleep 0.3; exit 3"], detach=True, restart_policy=always)
    assert box.wait()["StatusCode"] == 3
    with pytest.raises(APIError, match="stop the container before removing"):
        box.remove()
    box.remove(force=True)


def test_what_interfaces_have_carried(client: docker.DockerClient) -> None:
    box = client.containers.run("host", ["sleep", "infinity"], detach=True)
    assert box.stats(stream=False)["networks"]["eth0"]["tx_bytes"] >= 0
    box.remove(force=True)
    box = client.containers.run(
        "host", ["sleep", "infinity"], detach=True, network_mode="host", runtime="runc"
    )
    assert "networks" not in box.stats(stream=False)
    box.reload()
    assert box.attrs["HostConfig"]["Runtime"] == "runc"
    box.remove(force=True)


def test_output_that_is_not_kept(client: docker.DockerClient, tidy: Daemon) -> None:
    none = {"type": "none"}
    assert client.containers.run("host", ["echo", "x"], log_config=none, remove=True) is None
    box = client.containers.run("host", ["echo", "x"], log_config=none, detach=True)
    box.wait()
    with pytest.raises(APIError, match="configured logging driver does not support reading"):
        box.logs()
    box.remove()
    silent = client.containers.run("host", ["sleep", "infinity"], log_config=none, detach=True)
    with pytest.raises(APIError, match="configured logging driver does not support reading"):
        silent.logs(follow=True)
    assert not (tidy.root / "containers" / silent.id / "logs").exists()
    silent.remove(force=True)
    assert (
        tidy.docker("run", "--rm", "--log-driver", "none", "host", "echo", "attached").stdout == "attached\n"
    )


def test_swappiness(client: docker.DockerClient) -> None:
    script = ["cat", "/sys/fs/cgroup/memory/memory.swappiness"]
    box = client.containers.run("host", script, mem_swappiness=40, detach=True)
    box.wait()
    assert (box.logs(), box.attrs["HostConfig"]["MemorySwappiness"]) == (b"40\n", 40)
    box.remove()


def test_a_socket_is_attached_before_the_start(client: docker.DockerClient) -> None:
    box = client.containers.create("host", ["cat"], stdin_open=True, tty=False)
    sock = box.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    box.start()
    sock._sock.sendall(b"through\n")
    head = sock.read(8)
    assert (head[0], int.from_bytes(head[4:], "big")) == (1, 8)
    assert sock.read(8) == b"through\n"
    sock._sock.close()
    sock.close()
    box.remove(force=True)


def test_events_of_the_past(client: docker.DockerClient) -> None:
    before = time.time()
    client.containers.run("host", ["true"], remove=True, name="told")
    events = list(client.events(since=before, until=time.time(), decode=True, filters={"container": "told"}))
    assert [event["Action"] for event in events] == ["create", "start", "die", "destroy"]


def test_system(client: docker.DockerClient) -> None:
    assert client.ping()
    assert client.version()["ApiVersion"] == "1.47"
    assert client.info()["Driver"] == "overlay2"
    assert client.df()["Volumes"] == []
    assert [image.tags for image in client.images.list()] == [["host:latest"]]


def test_networks_and_who_is_on_them(client: docker.DockerClient) -> None:
    pool = docker.types.IPAMPool(subnet="10.219.0.0/24", iprange="10.219.0.128/25", gateway="10.219.0.1")
    network = client.networks.create(
        "mine", ipam=docker.types.IPAMConfig(pool_configs=[pool]), labels={"a": ""}
    )
    box = client.containers.run("host", ["sleep", "infinity"], detach=True, name="box", network="mine")
    other = client.containers.run("host", ["sleep", "infinity"], detach=True, name="other")
    network.connect(other, aliases=["late"], ipv4_address="10.219.0.9")
    network.reload()
    assert {one.name for one in network.containers} == {"box", "other"}
    assert box.exec_run(["getent", "hosts", "late"]).output.split()[0] == b"10.219.0.9"
    network.disconnect(other, force=True)
    with pytest.raises(APIError, match="has active endpoints"):
        network.remove()
    box.remove(force=True)
    assert client.networks.prune(filters={"label": "a"})["NetworksDeleted"] == ["mine"]
    linked = client.api.create_container(
        "host",
        ["sleep", "infinity"],
        name="linked",
        host_config=client.api.create_host_config(links={"other": "o"}),
    )
    client.api.start(linked)
    client.api.remove_container("linked/o", link=True)
    assert b"\to " not in client.containers.get("linked").exec_run(["cat", "/etc/hosts"]).output
    for name in ("linked", "other"):
        client.containers.get(name).remove(force=True)
