"""A daemon of an ordinary user: what he types works with his rights alone, and what cannot work says why."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.images import DIRECTORY, Image, busybox, docker_archive, layer
from helpers.rootless import RootlessUser

pytestmark = pytest.mark.kernel

NO_CGROUP = "the daemon is an ordinary user's, without a cgroup of its own"


@pytest.fixture(scope="module")
def user() -> Iterator[RootlessUser]:
    with RootlessUser() as someone:
        yield someone


def test_the_first_run_starts_a_daemon_of_the_users_own(user: RootlessUser) -> None:
    script = 'pysup run --rm host sh -c "id -u; cat /proc/self/uid_map; touch /usr/mine; cat /etc/shadow"'
    done = user.sh(script)
    assert done.stdout.split() == ["0", "0", str(user.uid), "1", "1", str(user.first), "65536"]
    assert "Permission denied" in done.stderr and "started one" in done.stderr
    assert (user.root / "pysup.db").stat().st_uid == user.uid
    assert stat.S_IMODE(user.socket.stat().st_mode) == 0o600
    assert user.ok(
        "pysup run --rm --net host host readlink /proc/self/ns/net; readlink /proc/self/ns/net"
    ).split()[0] == os.readlink("/proc/thread-self/ns/net")


def test_what_is_limited_is_told(user: RootlessUser) -> None:
    facts = user.ok("pysup info; docker -H unix://$XDG_RUNTIME_DIR/pysup/pysup.sock info -f '{{json .}}'")
    assert "root: no: rootless: no macvlan and ipvlan networks" in facts
    assert "ids: yes (65537 of users, 65537 of groups)" in facts
    assert (
        "way out: yes (/usr/bin/slirp4netns)" in facts
        and "low ports: no: none is published below 1024" in facts
    )
    assert "cgroup v1: no: an ordinary user has none of it" in facts and f"pause: {NO_CGROUP}" in facts
    document = json.loads(facts.splitlines()[-1])
    assert "name=rootless" in document["SecurityOptions"]
    assert (document["CgroupDriver"], document["MemoryLimit"]) == ("none", False)
    assert NO_CGROUP in document["Warnings"][0]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("run --rm -m 64m host true", f"cannot limit memory: {NO_CGROUP}"),
        ("run --rm --cpus 1 host true", f"cannot limit CPU time: {NO_CGROUP}"),
        ("run --rm --pids-limit 5 host true", f"cannot limit the number of processes: {NO_CGROUP}"),
        (
            "run --rm --userns auto -v data:/data host true",
            "volume /data: it would have to be shown with other ids",
        ),
        (
            "run --rm --userns auto -v /data host true",
            "which only a daemon that is root can (the kernel asks for",
        ),
        ("run --rm --userns auto -v $HOME:/data:idmap host true", "bind /data: it would have to be shown"),
        (
            "run --rm --userns auto --rootfs $HOME true",
            "the image: it would have to be shown with other ids",
        ),
        (
            "run --rm --uidmap 0:1:9 -v $HOME:/data:idmap host true",
            "as the kernel asks for power over its file system",
        ),
        ("run --rm --uidmap 0:1000:70000 host true", "the daemon's own ids, which are 0-0 and 1-65536"),
        (
            "run --rm --userns auto:size=70000 host true",
            "no 70000 ids in a row are free for it in the daemon's own ids",
        ),
        ("network create -d macvlan -o parent=lo lan", "driver macvlan needs root"),
        (
            "network create --subnet 10.0.2.0/25 taken",
            "10.0.2.0/25 overlaps with a route of the host, 10.0.2.0/24",
        ),
        ("run --rm --oom-score-adj -5 host true", "oom_score_adj: permission denied: -5 needs"),
        (
            "run --rm --ulimit nofile=99999999 host true",
            "rlimit nofile: operation not permitted: 99999999 is more than may be had here",
        ),
        ("run --rm -u 70000 host true", "its user namespace does not have user 70000 and groups 0, 0"),
        (
            "--root /root --run $HOME/other --socket $HOME/other.sock run --rm host true",
            "pysup: cannot start the daemon: without root: ",
        ),
    ],
)
def test_what_cannot_work_says_why(user: RootlessUser, command: str, said: str) -> None:
    done = user.sh(f"pysup {command}")
    assert done.returncode in (1, 125), done.stdout
    assert said in done.stderr


def test_without_newuidmap_the_user_is_root_alone() -> None:
    with RootlessUser() as someone:
        path = "for p in sh env sleep; do ln -s $(command -v $p) bin; done; PATH=$PWD/bin"
        told = someone.ok(f"cd $HOME; mkdir bin; {path}; pysup run --rm host true; pysup info")
        assert "newuidmap and newgidmap (package uidmap) cannot be found" in told


def test_without_a_program_that_leads_out_there_is_no_default_network() -> None:
    """Neither is on the path; what leads nowhere works all the same."""
    with RootlessUser() as someone:
        path = "for p in sh env sleep newuidmap newgidmap; do ln -s $(command -v $p) bin; done; PATH=$PWD/bin"
        told = someone.ok(
            f"cd $HOME; mkdir bin; {path}; pysup run --rm host true; pysup network create --internal in; "
            "pysup run --rm --network in host true; pysup network create out"
        )
        assert told
        said = "neither slirp4netns nor pasta (package passt) is installed"
        assert f"way out: no: no default network, and no networks but --internal ones: {said}" in someone.ok(
            "pysup info"
        )
        for refused in ("--network bridge", "--network out"):
            done = someone.sh(f"pysup run --rm {refused} host true")
            assert done.returncode in (125, 126, 127) and said in done.stderr


def test_root_of_a_container_is_the_user_outside(user: RootlessUser) -> None:
    """Nothing of the host's is in its reach: files, devices, processes."""
    script = (
        "chmod 777 /etc; mknod /tmp/null c 1 3; kill -0 1; cat /proc/1/environ; "
        "echo 1 > /proc/sys/vm/drop_caches"
    )
    done = user.sh(f'pysup run --rm --privileged --pid host host sh -c "{script}"; ls -ld /etc')
    assert done.stderr.count("ermitted") + done.stderr.count("ermission denied") == 4, done.stderr
    assert done.stdout.startswith("drwxr-xr-x")


def test_volumes_and_users(user: RootlessUser) -> None:
    written = user.ok(
        'pysup run --rm -u 33 --tmpfs /t:mode=1777 -v $HOME/dir:/d host sh -c "touch /t/x; id -u; stat -c %u /d"; '
        'pysup run --rm -v kept:/v -v $HOME/dir:/d host sh -c "touch /v/x /d/y; chown 33 /v/x"; '
        "stat -c %u $HOME/dir/y $HOME/.local/share/pysup/volumes/kept/_data/x"
    )
    assert written.split() == ["33", "0", str(user.uid), str(user.first + 32)]


def test_an_image_with_owners_and_devices(user: RootlessUser) -> None:
    """What a user cannot make is left out or his own; whiteouts and opaque directories count."""
    lower = layer(
        ("dir", DIRECTORY, b""), ("dir/old", {}, b""), ("gone", {}, b""),
        ("www", {"uid": 33, "gid": 44}, b""), ("strange", {"uid": 4000000}, b""),
        ("node", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, b""),
    )  # fmt: skip
    upper = layer(
        (".wh.gone", {}, b""), ("dir", DIRECTORY, b""), ("dir/.wh..wh..opq", {}, b""), ("dir/new", {}, b"")
    )
    archive = docker_archive(Image([busybox(), lower, upper], {"Cmd": ["sh"]}, ["odd:1"]))
    script = "ls /dir; stat -c '%u %g' /www /strange; ls /gone /node; true"
    shown = user.ok(
        'pysup run --rm host true; pysup load -q; pysup run --rm odd:1 sh -c "$1"', script, stdin=archive
    )
    assert shown.endswith("\nnew\n33 44\n0 0\n")


def test_files_are_copied_while_it_runs_and_while_it_rests(user: RootlessUser) -> None:
    shown = user.ok(
        "echo one > $HOME/one; pysup run -d --name files host sleep 60; pysup cp -q $HOME/one files:/usr/one; "
        "pysup stop -t 0 files; pysup cp -q files:/usr/one - | tar xO; pysup cp -q $HOME/one files:/root/two; "
        "pysup start files; pysup exec files stat -c %u /usr/one /root/two; pysup diff files; pysup rm -f files"
    )
    own = str(user.uid)  # docker's cp keeps the numbers
    assert shown.split()[1:6] == ["files", "one", "files", own, own]
    assert shown.splitlines()[-5:-1] == ["C /root", "A /root/two", "C /usr", "A /usr/one"]


def test_execs_and_terminals(user: RootlessUser) -> None:
    user.ok("pysup run -d --name served host sleep 60")
    shown = user.ok("pysup exec -t served tty; pysup exec -u 33 served id -u; pysup stats --no-stream served")
    assert shown.split()[:2] == ["/dev/pts/0", "33"]
    refused = user.sh("pysup pause served")
    assert NO_CGROUP in refused.stderr
    user.ok("pysup restart -t 0 served; pysup exec served true; pysup rm -f served")


def test_a_user_namespace_of_a_containers_own_is_within_the_daemons(user: RootlessUser) -> None:
    """A container's root is neither the user nor another container's."""
    look = "sh -c 'cat /proc/self/uid_map; id -u; echo mine > /usr/mine; stat -c %u /usr/mine'"
    shown = user.ok(
        f"pysup run -d --name own --userns auto:size=2000 host sleep 60; pysup exec own {look}; "
        f"pysup run --rm --userns auto:size=2000 host {look}; pysup run --rm --uidmap 0:0:9 --gidmap 0:5:9 host {look}"
    ).splitlines()[1:]
    assert [line.split() for line in shown] == [
        ["0", "1", "2000"], ["0"], ["0"],
        ["0", "2001", "2000"], ["0"], ["0"],
        ["0", "0", "1"], ["1", "1", "8"], ["0"], ["0"],
    ]  # fmt: skip
    pid = user.ok("pysup inspect -f '{{.State.Pid}}' own").strip()
    assert f"Uid:\t{user.first}\t" in Path(f"/proc/{pid}/status").read_text()
    strange = user.sh("pysup run --rm --userns auto:size=2000 --pid host host sh -c 'kill -0 $1' sh " + pid)
    assert "not permitted" in strange.stderr
    user.ok("pysup restart -t 0 own; pysup exec own cat /usr/mine; pysup rm -f own")


def test_what_else_a_container_with_ids_of_its_own_may_have(user: RootlessUser) -> None:
    """A directory of the host shows the host's ids: its root is one of the others there."""
    make = "mkdir -p $HOME/open $HOME/shut; echo o > $HOME/open/f; chmod 755 $HOME $HOME/open; chmod 700 $HOME/shut"
    look = "cat /o/f; stat -c %u /o/f /t; touch /t/x; touch /o/x || ls /s || chmod 777 /o || true"
    binds = "--mount type=tmpfs,target=/t -v $HOME/open:/o -v $HOME/shut:/s"
    done = user.sh(f"{make}; pysup run --rm --userns auto:size=2000 {binds} host sh -c '{look}'")
    assert done.stdout.split() == ["o", "65534", "0"], done.stderr
    assert "ermission denied" in done.stderr and "not permitted" in done.stderr


def test_an_init_in_the_host_image(user: RootlessUser) -> None:
    shown = user.ok("pysup run --rm --init host ps -o args= 1; pysup run --rm --init --read-only host true")
    assert shown == "/run/docker-init -- ps -o args= 1\n"


def test_nothing_is_lost_when_it_is_killed(user: RootlessUser) -> None:
    user.ok("pysup run -d --name kept host sh -c 'echo begun; sleep 60'")
    pid = int(user.ok("pysup inspect -f '{{.State.Pid}}' kept"))
    for victim in (user.keeper, next(one for one in user.daemons() if one != user.keeper)):
        os.kill(victim, signal.SIGKILL)
        assert user.ok("pysup inspect -f '{{.State.Pid}} {{.State.Status}}' kept").split() == [
            str(pid),
            "running",
        ]
    assert user.ok("pysup exec kept id -u; pysup logs kept") == "0\nbegun\n"


def test_the_next_daemon_ends_what_nobody_watches(user: RootlessUser) -> None:
    """Keeper and engine at once: whoever is left has no cgroup to be found by."""
    user.ok("pysup rm -f kept; pysup run -d --name left --pid host host sh -c 'sleep 60 & sleep 60'")
    daemons = user.daemons()
    for pid in daemons:
        os.kill(pid, signal.SIGSTOP)
    for pid in daemons:
        os.kill(pid, signal.SIGKILL)
    assert len(user.processes(b"sleep")) == 3
    user.ok("pysup run --rm host true")
    state = user.ok("pysup inspect -f '{{.State.Status}} {{.State.ExitCode}}' left")
    assert state == "exited 255\n"
    assert user.processes(b"sleep") == []
    user.ok("pysup rm left")


def test_a_user_without_further_ids_is_root_alone() -> None:
    with RootlessUser(subordinate=False) as alone:
        script = "pysup run --rm host sh -c 'id -u; cat /proc/self/uid_map; touch /usr/x'; pysup info"
        assert alone.ok(script).split()[:4] == ["0", "0", str(alone.uid), "1"]
        refused = alone.sh("pysup run --rm -u 33 host true")
        assert refused.returncode == 125 and "credentials: invalid argument" in refused.stderr
        said = f"nobody else can run: /etc/subuid and /etc/subgid give none to user someone ({alone.uid})"
        assert said in alone.ok("pysup info")


_PLACES = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
UNIFIED = next(path for path in _PLACES if (path / "cgroup.procs").exists())


@pytest.mark.vm
def test_a_delegated_cgroup_is_used() -> None:
    """Given away as systemd does it: processes are found, paused and ended by it; limits need its controllers."""
    controllers = {"memory", "pids"} & set((UNIFIED / "cgroup.controllers").read_text().split())
    if controllers:
        (UNIFIED / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
    given = UNIFIED / f"pysup-test-{uuid.uuid4().hex[:8]}"
    given.mkdir()
    try:
        with RootlessUser(cgroup=given) as someone:
            for path in (
                given,
                *(given / f"cgroup.{name}" for name in ("procs", "subtree_control", "threads")),
            ):
                os.chown(path, someone.uid, someone.uid)
            _use_cgroup(someone, given, limited=bool(controllers))
    finally:
        for path in sorted(given.rglob("*/"), reverse=True):
            path.rmdir()
        given.rmdir()


def _use_cgroup(someone: RootlessUser, given: Path, *, limited: bool) -> None:
    rootfs = "--rootfs $HOME/fs"
    someone.ok("mkdir -p $HOME/fs/bin; cp /bin/busybox $HOME/fs/bin/sleep")
    someone.sh(
        f"pysup run --rm {rootfs} sleep 0"
    )  # in the guest a daemon takes longer to start than this waits
    someone.ok(f"pysup run -d --name inside {rootfs} sleep 600; pysup pause inside; pysup unpause inside")
    pid = int(someone.ok("pysup inspect -f '{{.State.Pid}}' inside"))
    _, _, path = Path(f"/proc/{pid}/cgroup").read_text().rpartition("0::")
    assert path.startswith(f"/{given.name}/pysup/")
    if limited:
        someone.ok("pysup update -m 32m --memory-swap 32m inside")
        cgroup = Path(f"{UNIFIED}{path.strip()}")
        assert (cgroup / "memory.max").read_text() == f"{32 << 20}\n"
        shown = someone.ok("pysup stats --no-stream --format '{{.MemUsage}}' inside")
        assert "/ 32MiB" in shown
    else:
        refused = someone.sh(f"pysup run --rm -m 64m {rootfs} sleep 0")
        assert "this machine has no memory controller (cgroup v2)" in refused.stderr
    someone.ok("pysup rm -f inside")


def test_builds(user: RootlessUser) -> None:
    archive = docker_archive(Image([busybox()], {"Env": ["PATH=/bin"], "Cmd": ["sh"]}, ["base:1"]))
    steps = """FROM base:1
WORKDIR /w
RUN echo one > a; chown 33:44 a; rm -r /tmp
COPY --chown=5:6 f /w/
COPY --from=base:1 /bin/cat /c/
"""
    script = (
        "pysup run --rm host true; pysup load -q; mkdir -p $HOME/b; echo f > $HOME/b/f; "
        'echo "$1" > $HOME/b/Dockerfile; pysup build -q -t made:1 $HOME/b; '
        "pysup run --rm made:1 sh -c \"stat -c '%n %u %g' * /c/*; ls /tmp 2>&1\""
    )
    shown = user.sh(script, steps, stdin=archive)
    assert "a 33 44\nf 5 6\n/c/cat 0 0\n" in shown.stdout, shown.stderr
    assert "No such file" in shown.stdout


def test_a_limit_that_is_reached_is_named(user: RootlessUser) -> None:
    """Of namespaces, which each user namespace counts, and of processes."""
    user.ok("pysup run -d --name box host sleep 1000")
    enter = ["nsenter", "--user", "--target", str(user.keeper), "sh", "-c"]
    limit = "/proc/sys/user/max_{}_namespaces"
    hard = f"prlimit --pid {user.keeper} --nproc --noheadings --output HARD"
    try:
        for kind in ("ipc", "cgroup"):
            subprocess.run([*enter, f"echo 0 > {limit.format(kind)}"], check=True)
            told = user.sh("pysup run --rm --sysctl kernel.msgmax=9 host true").stderr
            subprocess.run([*enter, f"echo 1000 > {limit.format(kind)}"], check=True)
            assert f"{kind} namespaces: limit user.max_{kind}_namespaces reached" in told
        subprocess.run([*enter, f"prlimit --pid {user.keeper} --nproc=1:"], check=True)
        told = user.sh("pysup exec box true").stderr
        subprocess.run([*enter, f"prlimit --pid {user.keeper} --nproc=$({hard}):"], check=True)
        assert "clone: no more processes: limit of the daemon's cgroup, kernel.pid_max" in told
    finally:
        user.ok("pysup rm -f box")
