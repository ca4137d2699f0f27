"""exec into containers of every mode: its flags, what it has and has not, and who looks at it while it joins."""

from __future__ import annotations

import os
import select
import sys
import textwrap
from collections.abc import Iterator

import pytest
from helpers.daemon import Daemon

from pysup.supervisor.client.sync import Client

pytestmark = pytest.mark.kernel

MODES = {
    "plain": (),
    "mapped": ("--userns", "auto"),
    "joined": ("--userns", "container:mapped", "--pid", "container:mapped", "--uts", "container:mapped"),
    "guest": ("--userns", "auto", "--pid", "container:plain", "--cgroupns", "container:plain"),
    "hosted": ("--pid", "host", "--ipc", "host", "--uts", "host", "--cgroupns", "host"),
    "locked": ("--read-only", "--security-opt", "no-new-privileges", "--cap-drop", "ALL"),
    "free": ("--privileged", "--userns", "host"),
}
SLEEP = ("host", "sleep", "1000")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon, with a container of each mode."""
    with Daemon(tmp_path_factory.mktemp("exec")) as daemon:
        for name, flags in MODES.items():
            quiet = ("--network", "none", "--stop-signal", "KILL", "--name", name)
            daemon.pysup("run", "-d", *quiet, *flags, *SLEEP, check=True)
        yield daemon
        daemon.pysup("rm", "-f", *reversed(MODES), check=True)


def inside(daemon: Daemon, name: str, script: str, *flags: str, stdin: bytes = b"") -> list[str]:
    return daemon.pysup("exec", *flags, name, "sh", "-c", script, check=True, stdin=stdin).stdout.split()


@pytest.mark.parametrize("name", MODES)
def test_its_flags(shared: Daemon, name: str) -> None:
    script = "id -u; id -g; pwd; echo $A; cat"
    assert inside(shared, name, script, "-i", "-u", "33:44", "-w", "/usr", "-e", "A=b", stdin=b"typed") == [
        "33", "44", "/usr", "b", "typed",
    ]  # fmt: skip
    assert inside(shared, name, "tty; [ -t 0 ] && echo terminal", "-t") == ["/dev/pts/0", "terminal"]
    assert shared.pysup("exec", "-d", name, "sh", "-c", "exit 3", check=True).stdout == ""


@pytest.mark.parametrize("name", MODES)
def test_it_has_what_the_first_process_has(shared: Daemon, name: str) -> None:
    """Namespaces, cgroups, filter and capabilities, seen from outside; and nothing but its streams."""
    look = "ls /proc/$$/fd; readlink /proc/$$/cwd; read line"
    client = Client(f"unix://{shared.socket}")
    body = {"Cmd": ["sh", "-c", look], "AttachStdin": True, "AttachStdout": True}
    made = client.post(f"/containers/{name}/exec", body)["Id"]
    with client.hijack(f"/exec/{made}/start", {"Detach": False, "Tty": False}) as stream:
        told = b""
        while told.count(b"\n") < 4:
            select.select([stream], [], [])
            told += b"".join(data for _, data in stream.receive() or [])
        first = shared.inspect(name)["State"]["Pid"]
        pid = client.get(f"/exec/{made}/json")["Pid"]
        assert confinement(pid) == confinement(int(first))  # type: ignore[arg-type]
    client.close()
    assert told.decode().split() == ["0", "1", "2", "/"]


def confinement(pid: int) -> list[str]:
    spaces = [
        os.readlink(f"/proc/{pid}/ns/{kind}")
        for kind in ("mnt", "pid", "ipc", "uts", "net", "cgroup", "user")
    ]
    with (
        open(f"/proc/{pid}/status", encoding="ascii") as status,
        open(f"/proc/{pid}/cgroup", encoding="ascii") as own,
    ):
        wanted = ("Cap", "Seccomp", "NoNew", "Groups", "Uid", "Gid")
        return [*spaces, own.read(), *(line for line in status if line.startswith(wanted))]


@pytest.mark.parametrize("name", MODES)
def test_privileged_is_every_capability_and_the_same_filter(shared: Daemon, name: str) -> None:
    """In a user namespace those have power over nothing of the host's."""
    look = "grep -E '^(CapEff|Seccomp:)' /proc/self/status; touch /proc/sys/kernel/x /sys/x 2>&1; true"
    usual, more = inside(shared, name, look), inside(shared, name, look, "--privileged")
    assert int(more[1], 16) | int(usual[1], 16) == int(more[1], 16) > 0xA80425FB
    assert more[3] == usual[3] == ("0" if name == "free" else "2")
    if name in ("mapped", "joined", "guest"):
        refused = (
            "for f in /proc/sysrq-trigger /proc/sys/kernel/core_pattern; do echo x > $f && echo could; done"
        )
        assert inside(shared, name, f"({refused}) 2>/dev/null; true", "--privileged") == []


SPIED = {
    "root": (),
    "tracer": ("--userns", "auto", "--cap-add", "ALL", "--security-opt", "seccomp=unconfined"),
    "tracer of joiners": ("--userns", "auto", "--cap-add", "ALL", "--security-opt", "seccomp=unconfined"),
}
_SPY = """
    import ctypes, os, struct
    libc = ctypes.CDLL(None, use_errno=True)
    SEIZE, DETACH, INTERRUPT = 0x4206, 17, 0x4207
    own, seen, known = os.readlink("/proc/self/exe"), set(), {"1", str(os.getpid())}
    print("watching", flush=True)
    while not os.path.exists("/tmp/stop"):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if pid in known:
                continue
            for name in ("exe", "cwd", "root"):
                try:
                    seen.add(f"{name} {os.readlink(f'/proc/{pid}/{name}')}")
                except OSError:
                    pass
            try:
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    if int(fd) > 2:
                        seen.add(f"fd {os.readlink(f'/proc/{pid}/fd/{fd}')}")
            except OSError:
                pass
            try:
                with open(f"/proc/{pid}/maps", "rb") as file:
                    if b"pysup" in file.read():
                        seen.add("maps of pysup")
            except OSError:
                pass
            if libc.ptrace(SEIZE, int(pid), 0, 0) == 0:
                try:
                    seen.add(f"traced {os.readlink(f'/proc/{pid}/exe')}")
                except OSError:
                    pass
                libc.ptrace(INTERRUPT, int(pid), 0, 0)
                try:
                    os.waitpid(int(pid), 0x40000000)
                except OSError:
                    pass
                libc.ptrace(DETACH, int(pid), 0, 0)
    print("\\n".join(sorted(seen)))
"""


@pytest.mark.parametrize("kind", SPIED)
def test_who_traces_what_joins_gets_a_program_of_the_containers_at_most(shared: Daemon, kind: str) -> None:
    """A joining process is a copy of the keeper until its program begins (CVE-2016-9962), with the host's ids.

    Root of a user namespace has every capability in it, also over what enters it: that is no longer dumpable then.
    """
    spy = ("/usr/bin/python3", "-c", textwrap.dedent(_SPY))
    shared.pysup("run", "-d", "--network", "none", "--name", "spy", *SPIED[kind], "host", *spy, check=True)
    while "watching" not in shared.pysup("logs", "spy").stdout:
        pass
    client = Client(f"unix://{shared.socket}")
    for number in range(30):
        if kind == "tracer of joiners":
            spaces = {"PidMode": "container:spy", "UsernsMode": ("container:spy", "auto")[number % 2]}
            body = {"Image": "host", "Cmd": ["/bin/true"], "HostConfig": {**spaces, "NetworkMode": "none"}}
            made = client.post("/containers/create", body)["Id"]
            client.post(f"/containers/{made}/start")
            client.delete(f"/containers/{made}?force=1")
        else:
            made = client.post("/containers/spy/exec", {"Cmd": ["/bin/true"]})["Id"]
            client.post(f"/exec/{made}/start", {"Detach": True})
    client.close()
    shared.pysup("exec", "spy", "touch", "/tmp/stop")  # which may end with its container
    shared.pysup("wait", "spy", check=True)
    seen = shared.pysup("logs", "spy").stdout.splitlines()
    shared.pysup("rm", "spy", check=True)
    ours = (os.path.realpath(sys.executable), "pysup", "memfd", "socket:", str(shared.root))
    assert [line for line in seen if any(word in line for word in ours)] == []
    assert kind == "root" or any(line.startswith(("exe", "traced")) for line in seen), "it has seen programs"
