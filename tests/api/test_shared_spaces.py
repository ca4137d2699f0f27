"""--pid and --ipc container:X: what is shared, what is not, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon, with a container that shares its memory, and one that does not."""
    with Daemon(tmp_path_factory.mktemp("daemon")) as daemon:
        for name, ipc in (("donor", "shareable"), ("shy", "private")):
            words = ["--network", "none", "--ipc", ipc, "--stop-signal", "KILL", "--name", name]
            daemon.pysup("run", "-d", *words, "host", "sleep", "1000", check=True)
        yield daemon
        daemon.pysup("rm", "-f", "donor", "shy", check=True)


def run(daemon: Daemon, *words: str) -> str:
    return daemon.pysup("run", "--rm", "--network", "none", *words, check=True).stdout


def namespaces(daemon: Daemon, name: str) -> list[str]:
    words = ["sh", "-c", "for n in pid ipc mnt uts net cgroup; do readlink /proc/self/ns/$n; done"]
    return daemon.pysup("exec", name, *words, check=True).stdout.split()


@pytest.mark.parametrize("tool", ["docker", "pysup"])
def test_processes_of_another_container_are_seen_and_can_be_signalled(shared: Daemon, tool: str) -> None:
    words = ["run", "--rm", "--network", "none", "--pid", "container:donor", "host", "sh", "-c"]
    script = (
        "tr '\\0' ' ' < /proc/1/cmdline; kill -0 1 && echo signalled; readlink /proc/1/root || echo hidden"
    )
    done = shared.docker(*words, script) if tool == "docker" else shared.pysup(*words, script)
    assert done.stdout.startswith("sleep 1000 signalled\n"), done


def test_only_what_was_asked_for_is_shared(shared: Daemon) -> None:
    words = ["--network", "none", "--pid", "container:donor", "--ipc", "container:donor", "--name", "guest"]
    shared.pysup("run", "-d", *words, "host", "sleep", "1000", check=True)
    theirs, own = namespaces(shared, "donor"), namespaces(shared, "guest")
    assert [one == other for one, other in zip(theirs, own, strict=True)] == [True, True, *[False] * 4]
    assert "sleep 1000" in shared.pysup("top", "guest").stdout
    shared.pysup("kill", "guest", check=True)
    assert shared.pysup("wait", "guest").stdout == "137\n"
    assert shared.pysup("exec", "donor", "echo", "alive").stdout == "alive\n"
    shared.pysup("start", "guest", check=True)
    assert namespaces(shared, "guest")[:2] == theirs[:2]
    shared.pysup("rm", "-f", "guest", check=True)


def test_memory_is_shared_in_both_directions(shared: Daemon) -> None:
    shared.pysup("exec", "donor", "sh", "-c", "echo there > /dev/shm/file", check=True)
    script = (
        "cat /dev/shm/file; echo back > /dev/shm/other; ipcmk -M 4096 > /dev/null; stat -f -c %T /dev/shm"
    )
    assert run(shared, "--ipc", "container:donor", "host", "sh", "-c", script) == "there\ntmpfs\n"
    assert shared.pysup("exec", "donor", "cat", "/dev/shm/other").stdout == "back\n"
    assert "4096" in shared.pysup("exec", "donor", "ipcs", "-m").stdout
    assert "4096" not in shared.pysup("exec", "shy", "ipcs", "-m").stdout


def test_without_memory_to_share_there_is_none(shared: Daemon) -> None:
    assert "/dev/shm" not in run(shared, "--ipc", "none", "host", "cat", "/proc/self/mounts")
    assert shared.pysup("inspect", "-f", "{{.HostConfig.IpcMode}}", "donor").stdout == "shareable\n"


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["--ipc", "container:shy"], "its IPC is not shareable"),
        (["--pid", "container:nobody"], "No such container: nobody"),
        (["--ipc", "container:"], "names no container"),
        (["--ipc", "odd"], "neither private, shareable"),
        (["--pid", "odd"], "neither private, host"),
        (["--ipc", "container:donor", "--sysctl", "kernel.msgmax=1"], "it is not its own"),
    ],
)
def test_what_cannot_be_shared(shared: Daemon, words: list[str], cause: str) -> None:
    done = shared.pysup("run", "--rm", "--network", "none", *words, "host", "true")
    assert (done.returncode, cause in done.stderr) == (125, True), done.stderr


def test_who_is_gone_shares_nothing(shared: Daemon) -> None:
    shared.pysup("run", "-d", "--network", "none", "--name", "first", "host", "sleep", "1000", check=True)
    words = ["--network", "none", "--pid", "container:first", "--name", "second"]
    shared.pysup("run", "-d", *words, "host", "sleep", "1000", check=True)
    shared.pysup("rm", "-f", "first", check=True)
    assert shared.pysup("wait", "second").stdout == "137\n"  # the end of a pid namespace ends all in it
    assert "it was removed" in shared.pysup("start", "second").stderr
    shared.pysup("rm", "second", check=True)
