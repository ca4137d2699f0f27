"""--uts, --cgroupns and --userns container:X, and what is another container's with user namespaces of every kind."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import Daemon

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import PysupError

pytestmark = pytest.mark.kernel

QUIET = ("--network", "none", "--stop-signal", "KILL")
SLEEP = ("host", "sleep", "1000")
OWNERS = {"plain": ("--userns", "host"), "mapped": ("--userns", "auto")}
"""Whose namespaces are joined, and by which flags its user namespace is chosen."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon, with a container that has the host's ids, and one that has ids of its own."""
    with Daemon(tmp_path_factory.mktemp("joined")) as daemon:
        for name, flags in OWNERS.items():
            words = (*QUIET, *flags, "--ipc", "shareable", "-h", f"{name}-host", "--name", name)
            daemon.pysup("run", "-d", *words, *SLEEP, check=True)
        yield daemon
        daemon.pysup("rm", "-f", *OWNERS, check=True)


def run(daemon: Daemon, *words: str) -> str:
    done = daemon.pysup("run", "--rm", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(daemon: Daemon, *words: str) -> str:
    done = daemon.pysup(*words)
    assert done.returncode != 0, done.stdout
    return done.stderr


def links(daemon: Daemon, name: str) -> dict[str, str]:
    """The namespaces of a container's first process."""
    pid = daemon.inspect(name)["State"]["Pid"]
    return {
        kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("pid", "ipc", "uts", "net", "cgroup", "user")
    }


def inside(daemon: Daemon, name: str) -> dict[str, str]:
    """The namespaces of an exec."""
    kinds = ("pid", "ipc", "uts", "net", "cgroup", "user")
    script = "; ".join(f"readlink /proc/self/ns/{kind}" for kind in kinds)
    return dict(
        zip(kinds, daemon.pysup("exec", name, "sh", "-c", script, check=True).stdout.split(), strict=True)
    )


# -- every kind of owner, joined by every kind of guest --------------------------------------------------------

JOINED = {"--network": "net", "--pid": "pid", "--ipc": "ipc", "--uts": "uts", "--cgroupns": "cgroup"}


@pytest.mark.parametrize(
    ("owner", "guest"), [*itertools.product(OWNERS, ("host", "auto", "container:mapped"))]
)
def test_all_can_be_joined_and_an_exec_goes_there_too(shared: Daemon, owner: str, guest: str) -> None:
    words = [word for flag in JOINED for word in (flag, f"container:{owner}")]
    words += ["--userns", guest, "--stop-signal", "KILL", "--name", "guest"]
    shared.pysup("run", "-d", *words, "--restart", "always", "--restart-delay", "0", *SLEEP, check=True)
    for _ in range(2):
        theirs, own = links(shared, owner), links(shared, "guest")
        same = {kind for kind in theirs if theirs[kind] == own[kind]}
        own_ids = guest == "auto" or (guest == "host") != (owner == "plain")
        assert same == set(JOINED.values()) | (set() if own_ids else {"user"})
        assert inside(shared, "guest") == own
        look = "cat /proc/1/comm; hostname; ls /sys/class/net; cd /dev/shm; touch $$; stat -c %u $$; rm $$"
        found = shared.pysup("exec", "guest", "sh", "-ec", look, check=True).stdout.split()
        assert found == ["sleep", f"{owner}-host", "lo", "0"]
        shared.pysup("restart", "guest", check=True)
    shared.pysup("rm", "-f", "guest", check=True)


@pytest.mark.parametrize("owner", OWNERS)
def test_a_guest_with_ids_of_its_own_has_no_power_over_what_it_joins(shared: Daemon, owner: str) -> None:
    words = [word for flag in JOINED for word in (flag, f"container:{owner}")]
    script = """
        for what in "kill -0 1" "hostname mine" "ip link set lo down" "touch /sys/kernel/x" "cat /proc/1/environ" \\
            "sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'" "mount -t sysfs none /mnt" "mount -t proc none /mnt"; do
            eval "$what" 2>/dev/null && echo "could: $what"
        done; cat /proc/self/uid_map
    """
    flags = ("--cap-add", "ALL", "--security-opt", "seccomp=unconfined", "--userns", "auto")
    found = run(shared, *flags, *words, "host", "sh", "-c", script).split()
    assert found[0] == "0" and int(found[1]) > 0 and "could:" not in found
    assert shared.pysup("exec", owner, "hostname").stdout == f"{owner}-host\n"


@pytest.mark.parametrize(("owner", "guest"), [*itertools.product(OWNERS, OWNERS)])
def test_a_port_below_1024_in_a_network_of_another_one(shared: Daemon, owner: str, guest: str) -> None:
    """Whose root has no CAP_NET_BIND_SERVICE there: any user may have it, as with docker."""
    words = ("--network", f"container:{owner}", *OWNERS[guest], "--stop-signal", "KILL", "--name", "server")
    server = ("host", "busybox", "httpd", "-f", "-p", "80", "-h", "/etc")
    shared.pysup("run", "-d", *words, *server, check=True)
    ask = "until busybox wget -qO- 127.0.0.1/hostname; do :; done"
    assert shared.pysup("exec", owner, "sh", "-c", ask, check=True).stdout.strip() != ""
    shared.pysup("rm", "-f", "server", check=True)


def test_the_network_stays_when_its_owner_restarts(shared: Daemon) -> None:
    """And a guest that restarts then joins it again, in its own user namespace as before."""
    flags = ("--userns", "auto", "--stop-signal", "KILL")
    shared.pysup("run", "-d", *flags, "--network", "none", "--name", "owner", *SLEEP, check=True)
    shared.pysup("run", "-d", *flags, "--network", "container:owner", "--name", "guest", *SLEEP, check=True)
    before = links(shared, "guest")
    shared.pysup("restart", "owner", check=True)
    assert links(shared, "owner")["net"] == links(shared, "guest")["net"] == before["net"]
    shared.pysup("restart", "guest", check=True)
    after = links(shared, "guest")
    assert (after["net"], after["user"]) == (before["net"], before["user"])
    shared.pysup("rm", "-f", "guest", "owner", check=True)


SLY = ("--ipc", "shareable", "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined")
"""Who may mount in his own namespace."""


@pytest.mark.parametrize("ids", [("--userns", "host"), ("--userns", "auto")], ids=["same", "others"])
@pytest.mark.parametrize("guest", [("--userns", "host"), ("--userns", "auto")], ids=["plain", "mapped"])
def test_what_lies_over_a_containers_memory_is_not_shared(
    shared: Daemon, tmp_path: Path, ids: tuple[str, str], guest: tuple[str, str]
) -> None:
    """Its root may put there what it has no power over: who joins it gets what was there when it began.

    Nor does what its root has done to the mount's flags count for others.
    """
    (tmp_path / "secret").touch(0o600)
    script = """
        cp /bin/true /dev/shm/own && mount -o remount,bind,exec,suid,dev /dev/shm
        mount --bind /srv /dev/shm && exec sleep 1000
    """
    words = (*QUIET, *ids, *SLY, "-v", f"{tmp_path}:/srv", "--name", "sly", "host", "sh", "-c", script)
    shared.pysup("run", "-d", *words, check=True)
    wait = "until [ $(grep -c /dev/shm /proc/mounts) = 2 ]; do sleep 0.1; done"
    shared.pysup("exec", "sly", "timeout", "30", "sh", "-c", wait, check=True)
    look = "ls /dev/shm; grep /dev/shm /proc/mounts; /dev/shm/own || echo refused"
    found = run(shared, *QUIET, *guest, "--ipc", "container:sly", "host", "sh", "-c", look).split()
    assert (found[0], found[3], found[-1]) == ("own", "tmpfs", "refused")
    assert {"nosuid", "nodev", "noexec"} <= set(found[4].split(","))
    shared.pysup("rm", "-f", "sly", check=True)


def test_memory_that_is_mounted_no_more_is_not_shared(shared: Daemon) -> None:
    script = "umount -l /dev/shm && exec sleep 1000"
    shared.pysup("run", "-d", *QUIET, *SLY, "--name", "bare", "host", "sh", "-c", script, check=True)
    wait = "while grep -q /dev/shm /proc/mounts; do sleep 0.1; done"
    shared.pysup("exec", "bare", "timeout", "30", "sh", "-c", wait, check=True)
    for ids in ("host", "auto"):
        told = refused(
            shared, "run", "--rm", *QUIET, "--userns", ids, "--ipc", "container:bare", "host", "true"
        )
        assert "share /dev/shm of another container: that container has it mounted no more" in told
    shared.pysup("rm", "-f", "bare", check=True)


@pytest.mark.parametrize(
    "maps",
    [("0:100000:1000", "0:100000:1000"), ("0:0:65536", "0:100000:1000"), ("0:100000:1000", "0:0:65536")],
)
def test_who_has_other_ids_gets_none_in_what_was_mounted_there(
    shared: Daemon, tmp_path: Path, maps: tuple[str, str]
) -> None:
    """Other users, other groups, or both."""
    theirs = ("--uidmap", "0:0:65536", "--gidmap", "0:0:65536")
    words = (*QUIET, *theirs, "--ipc", "shareable", "-v", f"{tmp_path}:/dev/shm", "--name", "given")
    shared.pysup("run", "-d", *words, *SLEEP, check=True)
    users, groups = maps
    join = (*QUIET, "--ipc", "container:given", "--uidmap", users, "--gidmap", groups, "host", "true")
    assert "is a mount of its own, and its ids are others" in refused(shared, "run", "--rm", *join)
    shared.pysup("rm", "-f", "given", check=True)


# -- names and cgroups ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["--uts", "container:plain", "-h", "own"], "--hostname conflicts with --uts container: it would change"),
        (["--uts", "container:plain", "--domainname", "own"], "--domainname conflicts with --uts container"),
        (["--uts", "container:plain", "--sysctl", "kernel.domainname=x"], "it is not its own"),
        (["--uts", "host", "-h", "own"], "conflict with --uts host"),
        (["--uts", "container:"], '"container:" for "--uts" flag: it is neither private, host nor container:NAME'),
        (["--uts", "odd"], '"odd" for "--uts" flag: it is neither private, host nor container:NAME'),
        (["--cgroupns", "odd"], '"odd" for "--cgroupns" flag: it is neither private, host nor container:NAME'),
        (["--userns", "container:"], '"container:" for "--userns" flag: it names no container'),
        (["--userns", "container:nobody"], "cannot join the user namespace of container nobody: No such container"),
        (["--userns", "container:mapped", "--uidmap", "0:1:1"], "--gidmap conflict with --userns container"),
        (["--userns", "container:mapped", "--privileged"], "give --userns host"),
    ],
)  # fmt: skip
def test_what_conflicts(shared: Daemon, words: list[str], cause: str) -> None:
    assert cause in refused(shared, "run", "--rm", *QUIET, *words, "host", "true")


def test_the_name_is_the_other_ones(shared: Daemon) -> None:
    script = "hostname; cat /etc/hostname; echo $HOSTNAME"
    assert (
        run(shared, "--network", "none", "--uts", "container:plain", "host", "sh", "-c", script).split()
        == ["plain-host"] * 3
    )


def test_its_own_cgroup_is_shown_and_not_the_other_ones(shared: Daemon) -> None:
    """Seen from the root of the other one, it lies beside that."""
    words = (*QUIET, "-m", "64m", "--cgroupns", "container:plain", "host", "sh", "-c")
    limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    found = run(shared, *words, f"{limit}; cat /proc/self/cgroup").splitlines()
    assert found[0] == str(64 << 20) and any("/../" in line for line in found[1:])


# -- user namespaces -----------------------------------------------------------------------------------------


def ranges(daemon: Daemon) -> dict[str, int]:
    """Where each range begins, by the container that has it."""
    query = "select start, container from id_ranges"
    rows = json.loads(daemon.pysup("query", "--json", query, check=True).stdout)
    return {row["container"]: row["start"] for row in rows}


def test_the_same_ids_everywhere(shared: Daemon) -> None:
    """Files of the image, of a volume and of the write layer; and what inspect shows can be used again."""
    script = "touch /made /v/made; stat -c %u /made /v/made /usr; cat /proc/self/uid_map"
    words = (
        *QUIET,
        "--userns",
        "container:mapped",
        "-v",
        "joined:/v",
        "--name",
        "twin",
        "host",
        "sh",
        "-c",
        script,
    )
    shared.pysup("run", *words, check=True)
    start = ranges(shared)["mapped"]
    assert shared.pysup("logs", "twin").stdout.split() == ["0", "0", "0", "0", str(start), "65536"]
    inspected = shared.inspect("twin")
    assert (shared.root / f"containers/{inspected['Id']}/upper/made").stat().st_uid == start
    assert shared.pysup("cp", "twin:/made", "-").returncode == 0
    assert shared.pysup("diff", "twin").stdout == "A /made\nA /v\n"
    with contextlib.closing(Client(f"unix://{shared.socket}")) as client:
        body = {"Image": "host", "Cmd": ["true"], "HostConfig": inspected["HostConfig"]}
        again = client.post("/containers/create", body)["Id"]
        assert (
            client.get(f"/containers/{again}/json")["HostConfig"]["Pysup"] == inspected["HostConfig"]["Pysup"]
        )  # type: ignore[index]
        with pytest.raises(PysupError, match="--userns cannot be changed"):
            client.post(f"/containers/{again}/update", {"Pysup": {"JoinedIds": {"UidMaps": [[0, 1, 1]]}}})
    shared.pysup("rm", again, "twin", check=True)
    shared.pysup("volume", "rm", "joined", check=True)


def test_who_has_the_hosts_ids_gives_them(shared: Daemon) -> None:
    assert (
        run(shared, *QUIET, "--userns", "container:plain", "host", "cat", "/proc/self/uid_map").split()[1]
        == "0"
    )


def test_a_range_outlives_its_container_while_others_have_it(shared: Daemon) -> None:
    flags = (*QUIET, "--userns", "auto:size=1000")
    shared.pysup("run", "-d", *flags, "--name", "first", *SLEEP, check=True)
    for name, of in (("second", "first"), ("third", "second")):
        shared.pysup("run", "-d", *QUIET, "--userns", f"container:{of}", "--name", name, *SLEEP, check=True)
    start = ranges(shared)["first"]
    shared.pysup("rm", "-f", "first", check=True)
    assert ranges(shared)["second"] == start
    shared.pysup("create", *flags, "--name", "stranger", "host", "true", check=True)
    assert ranges(shared)["stranger"] != start
    assert shared.pysup("exec", "second", "cat", "/proc/self/uid_map").stdout.split()[1] == str(start)
    shared.pysup("restart", "second", check=True)  # it has kept the namespace itself
    shared.pysup("stop", "second", check=True)
    assert "cannot join the user namespace of container first: it was removed" in refused(
        shared, "start", "second"
    )
    shared.pysup("rm", "second", check=True)
    assert ranges(shared)["third"] == start
    shared.pysup("rm", "-f", "third", "stranger", check=True)
    assert start not in ranges(shared).values()


def test_the_policy_waits_for_who_is_to_be_joined(shared: Daemon) -> None:
    """A start by hand fails at once, and says why; a policy tries again until the other one is back."""
    shared.pysup("run", "-d", *QUIET, "--name", "joinee", *SLEEP, check=True)
    words = (*QUIET, "--restart", "always", "--restart-delay", "0.01", "--restart-max-delay", "0.05")
    shared.pysup("run", "-d", *words, "--pid", "container:joinee", "--name", "waiter", *SLEEP, check=True)
    shared.pysup("stop", "joinee", check=True)  # the end of a pid namespace ends all in it
    query = "select error from history where name = 'waiter' and error <> ''"
    while not (rows := json.loads(shared.pysup("query", "--json", query, check=True).stdout)):
        pass
    assert "cannot join the processes of container joinee: it is not running" in rows[0]["error"]
    shared.pysup("start", "joinee", check=True)
    while shared.inspect("waiter")["State"]["Status"] != "running":
        pass
    assert links(shared, "waiter")["pid"] == links(shared, "joinee")["pid"]
    shared.pysup("stop", "waiter", "joinee", check=True)
    assert "it is not running" in refused(shared, "start", "waiter")
    assert shared.inspect("waiter")["State"]["Status"] == "exited"
    shared.pysup("rm", "waiter", "joinee", check=True)


def test_a_daemon_starts_what_is_joined_first(tmp_path: Path) -> None:
    """And what cannot be started then is tried again, as its policy says."""
    always = (*QUIET, "--restart", "always", "--restart-delay", "0.01", "--restart-max-delay", "0.05")
    with Daemon(tmp_path) as daemon:
        daemon.pysup("run", "-d", *always, "--name", "base", *SLEEP, check=True)
        for name, of in (("guest", "base"), ("last", "guest")):
            words = ("--pid", f"container:{of}", "--network", f"container:{of}", "--name", name)
            daemon.pysup("run", "-d", *always[2:], *words, *SLEEP, check=True)
        (tmp_path / "dir").mkdir()
        daemon.pysup("run", "-d", *always, "-v", f"{tmp_path}/dir/x:/x", "--name", "late", *SLEEP, check=True)
        daemon.stop()
        (tmp_path / "dir/x").rmdir()
        (tmp_path / "dir").rename(tmp_path / "away")
        (tmp_path / "dir").touch()  # nothing can be made in it
        daemon.start()
        wait = "select count(*) as n from run join container c on c.id = container_id where name = 'late'"
        for _ in range(500):
            if json.loads(daemon.pysup("query", "--json", wait, check=True).stdout)[0]["n"] > 3:
                break
        (tmp_path / "dir").unlink()
        names = ("base", "guest", "last", "late")
        for _ in range(500):
            states = [daemon.inspect(name)["State"]["Status"] for name in names]
            if states == ["running"] * 4:
                break
        assert states == ["running"] * 4
        assert links(daemon, "base")["pid"] == links(daemon, "last")["pid"]
        failed = "select count(*) as n from history where error is not null and name <> 'late'"
        assert json.loads(daemon.pysup("query", "--json", failed, check=True).stdout) == [{"n": 0}]
        daemon.pysup("rm", "-f", *reversed(names), check=True)
