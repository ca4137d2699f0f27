"""Every flag of run, once, on the real kernel: what docker's documentation says it does is there inside.

One daemon serves all of them; each row is a container that looks at itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel
MEMORY = Path("/sys/fs/cgroup/memory")
V1 = MEMORY.is_dir()


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("volume")
    (path / "file").write_text("content\n")
    (path / "env").write_text("# comment\nA=from file\nPASSED\n\nB=two\n")
    (path / "labels").write_text("x=1\ny=2\n")
    return path


def cgroup(v1: str, v2: str) -> str:
    """A file of the container's cgroup, by its path in either version."""
    return f"cat /sys/fs/cgroup/{v1 if V1 else v2}"


def disk() -> tuple[str, str]:
    """A whole block device of the machine, which rates can be set for, and its number; the guest has none."""
    names = [
        name for name in sorted(os.listdir("/sys/block")) if not name.startswith(("loop", "ram", "zram"))
    ]
    if not names:
        return "/dev/none", "0:0"
    number = os.stat(f"/dev/{names[0]}").st_rdev
    return f"/dev/{names[0]}", f"{os.major(number)}:{os.minor(number)}"


RATE = "cat /sys/fs/cgroup/blkio/blkio.throttle.{}_device" if V1 else "cat /sys/fs/cgroup/io.max"
DISK, NUMBER = disk()

UNPRIVILEGED = (
    'import socket as s; s.socket().bind(("", 80)); p = s.socket(s.AF_INET, s.SOCK_DGRAM, s.IPPROTO_ICMP); '
    'p.sendto(b"\\10\\0\\0\\0\\0\\0\\0\\0", ("127.0.0.1", 0)); p.recv(99); print("pinged")'
)
PARAMETERS = "cd /proc/sys/net/ipv4; cat ip_unprivileged_port_start ping_group_range"

INSIDE = [
    ("-h box --domainname example.org", "hostname; cat /proc/sys/kernel/domainname", "box\nexample.org\n"),
    ("-e A=1 -e B= -e HOME=/h", "echo $A,$B,$HOME", "1,,/h\n"),
    ("--env-file VOLUME/env -e B=3", "echo $A,$B,$PASSED", "from file,3,passed\n"),
    ("-w /made/for/it", "pwd; stat -c %u .", "/made/for/it\n0\n"),
    ("-u 1234:5678", "id -u; id -g; id -G", "1234\n5678\n5678\n"),
    ("-u nobody --group-add tty --group-add 77", "id -un; id -G", "nobody\n65534 5 77\n"),
    ("--read-only", "touch /x 2>/dev/null || echo refused; touch /dev/shm/x", "refused\n"),
    ("--tmpfs /t", "stat -c '%a %u' /t; grep -o '/t tmpfs rw,nosuid,nodev,noexec' /proc/mounts",
     "1777 0\n/t tmpfs rw,nosuid,nodev,noexec\n"),
    ("--tmpfs /srv", "stat -c %a /srv", "755\n"),
    ("--tmpfs /t:size=1m,mode=700,uid=5,exec", "stat -c '%a %u' /t; df -k /t | awk 'END{print $2}'",
     "700 5\n1024\n"),
    ("-v VOLUME:/v", "cat /v/file; touch /v/from-inside", "content\n"),
    ("-v VOLUME:/v:ro", "touch /v/x 2>/dev/null || cat /v/file", "content\n"),
    ("-v VOLUME/file:/etc/hostname", "cat /etc/hostname", "content\n"),
    ("-v VOLUME/new/one:/v", "stat -c %F /v", "directory\n"),
    ("--mount type=bind,src=VOLUME,dst=/v,readonly", "touch /v/x 2>/dev/null || cat /v/file", "content\n"),
    ("--mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=0711",
     "stat -c %a /t; df -k /t | awk 'END{print $2}'", "711\n1024\n"),
    ("--init", "cat /proc/1/comm; echo $$ | sed 's/^1$/first/;s/[0-9]*$/later/'", "docker-init\nlater\n"),
    ("--ulimit nofile=100:200 --ulimit core=0", "ulimit -n; ulimit -Hn; ulimit -c", "100\n200\n0\n"),
    ("-u 1000 --cap-drop ALL", f"python3 -c '{UNPRIVILEGED}'; {PARAMETERS}", "pinged\n0\n0\t2147483647\n"),
    ("--network none", PARAMETERS, "0\n0\t2147483647\n"),
    ("--userns auto", PARAMETERS, "0\n0\t65535\n"),
    ("--userns private", PARAMETERS, "0\n0\t65535\n"),
    ("--sysctl net.ipv4.ip_unprivileged_port_start=99", PARAMETERS, "99\n0\t2147483647\n"),
    ("--sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=4096",
     "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax", "1\n4096\n"),
    ("--shm-size 8m", "df -k /dev/shm | awk 'END{print $2}'", "8192\n"),
    ("--net none", "ls /sys/class/net; ip -br address show lo | awk '{print $3}'", "lo\n127.0.0.1/8\n"),
    ("--cap-drop ALL --cap-add NET_ADMIN", "grep CapEff /proc/self/status", "CapEff:\t0000000000001000\n"),
    ("--cap-drop ALL", "grep CapBnd /proc/self/status", "CapBnd:\t0000000000000000\n"),
    ("--security-opt no-new-privileges", "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1\n"),
    ("--oom-score-adj 500", "cat /proc/self/oom_score_adj", "500\n"),
    ("--uidmap 0:100000:65536", "cat /proc/self/uid_map | tr -s ' '", " 0 100000 65536\n"),
    ("--uidmap 0:100000:10 --gidmap 0:200000:20", "cat /proc/self/gid_map | tr -s ' '", " 0 200000 20\n"),
    ("-m 64m", cgroup("memory/memory.limit_in_bytes", "memory.max"), "67108864\n"),
    ("-m 64m --memory-swap 96m", cgroup("memory/memory.memsw.limit_in_bytes", "memory.swap.max"),
     "100663296\n" if V1 else "33554432\n"),
    ("-m 64m --memory-reservation 32m", cgroup("memory/memory.soft_limit_in_bytes", "memory.low"), "33554432\n"),
    ("--cpus 0.5", cgroup("cpu/cpu.cfs_quota_us", "cpu.max"), "50000\n" if V1 else "50000 100000\n"),
    ("--cpu-quota 20000 --cpu-period 50000", cgroup("cpu/cpu.cfs_quota_us", "cpu.max"),
     "20000\n" if V1 else "20000 50000\n"),
    ("-c 512", cgroup("cpu/cpu.shares", "cpu.weight"), "512\n" if V1 else "59\n"),
    ("--cpuset-cpus 0", "nproc", "1\n"),
    ("--cpuset-mems 0", "grep Mems_allowed_list /proc/self/status", "Mems_allowed_list:\t0\n"),
    ("", cgroup("pids/pids.max", "pids.max"), "2048\n"),
    ("--pids-limit 20", cgroup("pids/pids.max", "pids.max"), "20\n"),
    ("--pids-limit -1", cgroup("pids/pids.max", "pids.max"), "max\n"),
    (f"--device-read-bps {DISK}:1mb", RATE.format("read_bps"),
     f"{NUMBER} 1048576\n" if V1 else f"{NUMBER} rbps=1048576 wbps=max riops=max wiops=max\n"),
    (f"--device-write-iops {DISK}:9", RATE.format("write_iops"),
     f"{NUMBER} 9\n" if V1 else f"{NUMBER} rbps=max wbps=max riops=max wiops=9\n"),
    ("--entrypoint echo", "", "-c \n"),
    ("-a stdout", "echo out; echo err >&2", "out\n"),
    ("--cgroup-parent PARENT/sub", "grep -c . /proc/self/cgroup >/dev/null && echo in", "in\n"),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "script", "shown"), INSIDE, ids=[row[0] or "none" for row in INSIDE])
def test_inside(shared: Daemon, volume: Path, flags: str, script: str, shown: str) -> None:
    given = flags.replace("VOLUME", str(volume)).replace("PARENT", shared.cgroup).split()
    program = [] if "--entrypoint" in given else ["sh"]
    done = subprocess.run(
        shared.command("run", "--rm", *given, "host", *program, "-c", script),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PASSED": "passed"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, shown, "")


LIVE = [
    ("-m 64m --memory-swap 96m", cgroup("memory/memory.limit_in_bytes", "memory.max"), "67108864\n"),
    ("--memory-reservation 20m", cgroup("memory/memory.soft_limit_in_bytes", "memory.low"), "20971520\n"),
    ("--cpus 0.25", cgroup("cpu/cpu.cfs_quota_us", "cpu.max"), "25000\n" if V1 else "25000 100000\n"),
    ("-c 512", cgroup("cpu/cpu.shares", "cpu.weight"), "512\n" if V1 else "59\n"),
    ("--cpuset-cpus 0", "nproc", "1\n"),
    ("--pids-limit 21", cgroup("pids/pids.max", "pids.max"), "21\n"),
    ("--pids-limit -1", cgroup("pids/pids.max", "pids.max"), "max\n"),
]  # fmt: skip


def test_update_changes_what_runs(shared: Daemon) -> None:
    flags = ("--net", "none", "--name", "live", "--pids-limit", "20")
    shared.pysup("run", "-d", *flags, "host", "sleep", "1000", check=True)
    for changed, look, shown in LIVE:
        shared.pysup("update", *changed.split(), "live", check=True)
        assert shared.pysup("exec", "live", "sh", "-c", look, check=True).stdout == shown, changed
    told = shared.pysup("update", "--cpus", "1000", "live")
    assert (told.returncode, told.stderr[:32]) == (1, "pysup: cannot update container: ")
    shared.pysup("rm", "-f", "live", check=True)


def test_update_of_one_that_ends_is_for_its_next_run(shared: Daemon) -> None:
    """Its cgroups go one after the other, and its row tells of its end when that is on the disk."""
    host = {"NetworkMode": "none"}
    body = {"Image": "host", "Cmd": ["sleep", "1000"], "StopSignal": "KILL", "HostConfig": host}

    def update() -> None:
        with contextlib.closing(shared.client()) as client:
            for limit in range(20, 30):
                client.post("/containers/ending/update", {"PidsLimit": limit})

    with contextlib.closing(shared.client()) as client, ThreadPoolExecutor() as beside:
        client.post("/containers/create", body, query={"name": "ending"})
        for _ in range(25):
            client.post("/containers/ending/start")
            updates = beside.submit(update)
            client.post("/containers/ending/kill")
            updates.result()
        assert client.get("/containers/ending/json")["HostConfig"]["PidsLimit"] == 29
    shared.pysup("rm", "ending", check=True)


@pytest.mark.parametrize(
    ("flag", "name"),
    [("--pid", "pid"), ("--ipc", "ipc"), ("--uts", "uts"), ("--net", "net"), ("--cgroupns", "cgroup")],
)
def test_namespaces(shared: Daemon, flag: str, name: str) -> None:
    look = ("host", "readlink", f"/proc/self/ns/{name}")
    own = os.readlink(f"/proc/self/ns/{name}") + "\n"
    assert shared.pysup("run", "--rm", flag, "host", *look, check=True).stdout == own
    assert shared.pysup("run", "--rm", *look, check=True).stdout != own


KEPT = [
    ("-l a=b -l c --label-file VOLUME/labels", "json .Config.Labels", {"a": "b", "c": "", "x": "1", "y": "2"}),
    ("--annotation k=v", "json .HostConfig.Annotations", {"k": "v"}),
    ("--stop-signal USR1 --stop-timeout 3", "json .Config.StopSignal", "USR1"),
    ("--stop-timeout 3", "json .Config.StopTimeout", 3),
    ("--restart on-failure:3", "json .HostConfig.RestartPolicy", {"Name": "on-failure", "MaximumRetryCount": 3}),
    ("--log-opt max-size=1m --log-opt max-file=2", "json .HostConfig.LogConfig.Config",
     {"max-size": "1m", "max-file": "2"}),
    ("-m 64m", "json .HostConfig.MemorySwap", 2 * 64 << 20),
    ("", "json .HostConfig.PidsLimit", 2048),
    ("--pids-limit -1", "json .HostConfig.PidsLimit", None),
    ("--blkio-weight 300", "json .HostConfig.BlkioWeight", 300),
    ("-it", "json .Config.Tty", True),
    ("-i", "json .Config.OpenStdin", True),
    ("--no-healthcheck", "json .Config.Healthcheck.Test", ["NONE"]),
    ("--health-cmd true --health-retries 2 --health-interval 1m", "json .Config.Healthcheck",
     {"Test": ["CMD-SHELL", "true"], "Interval": 60 * 10**9, "Retries": 2}),
    ("--health-timeout 1s --health-start-period 2s --health-start-interval 5ms", "json .Config.Healthcheck",
     {"Timeout": 10**9, "StartPeriod": 2 * 10**9, "StartInterval": 5 * 10**6}),
    ("--rm", "json .HostConfig.AutoRemove", True),
    ("--timeout 90", "json .HostConfig.Pysup.RunTimeout", 90),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "template", "value"), KEPT, ids=[row[0] for row in KEPT])
def test_inspect_shows_it(shared: Daemon, volume: Path, flags: str, template: str, value: object) -> None:
    given = flags.replace("VOLUME", str(volume)).split()
    name = shared.pysup("create", *given, "host", "true", check=True).stdout.strip()
    shown = shared.pysup("inspect", "-f", "{{" + template + "}}", name, check=True).stdout
    shared.pysup("rm", name, check=True)
    assert json.loads(shown) == value


REFUSED = [
    ("--userns keep-id", "'keep-id' is not supported yet (there are auto, private, host and container:NAME)"),
    ("--userns auto:sise=3", "unknown option 'sise=3'"),
    ("--userns auto --uidmap 0:1:1", "there is auto:uidmapping"),
    ("--userns auto --privileged", "give --userns host"),
    ("-v named:/v:rshared", "a volume has no propagation"),
    ("--dns ns1", "--dns"),
    ("--health-interval 10us --health-cmd x", "Interval in Healthcheck cannot be less than 1ms"),
    ("--health-on-failure restart", "is not none, stop or kill; --restart says"),
    ("--health-retries -1", "cannot be negative"),
    ("--log-opt max-size=-1", "max-size: invalid size"),
    ("--log-opt mode=non-blocking", "'mode' is not supported yet"),
    ("--log-opt env-regex=(", "--log-opt env-regex '(': "),
    ("--log-opt tag={{.Pid}}", "tag '{{.Pid}}' has more than text and {{.ID}}, "),
    ("--pull often", "invalid pull option"),
    ("--restart always", "both --restart and --rm"),
    ("--memory 1k", "below the minimum"),
    ("--memory-swap 64m", "needs --memory"),
    ("--cpus 1000", "more than the"),
    ("--cpuset-cpus 4000", "there are"),
    ("--sysctl kernel.pid_max=9", "kernel.pid_max"),
    ("--net host --sysctl net.ipv4.ip_forward=1", "--network host"),
    ("--ulimit nofile=9:8", "less than or equal to hard limit"),
    ("--ulimit nosuch=1", "nosuch"),
    ("--cap-add NOSUCH", "NOSUCH"),
    ("--stop-signal NOSUCH", "NOSUCH"),
    ("--tmpfs /t:nosuch", "nosuch"),
    ("--tmpfs relative", "absolute"),
    ("-w relative", "relative"),
    ("--device-read-bps /dev/nosuch:1mb", "/dev/nosuch"),
    ("--mount type=bind,src=/nosuch,dst=/x", "/nosuch"),
    ("--env-file /nosuch", "/nosuch"),
    ("-u nosuch", "nosuch"),
    ("--uidmap 1:2", "container:host:size"),
    ("--nosuchflag", "nosuchflag"),
]


@pytest.mark.parametrize(("flags", "cause"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_not_there_is_said(shared: Daemon, flags: str, cause: str) -> None:
    done = shared.pysup("run", "--rm", *flags.split(), "host", "true")
    assert done.returncode == 125
    assert cause in done.stderr
    assert done.stderr.startswith("pysup: cannot ")
    assert shared.pysup("ps", "-aq", check=True).stdout == ""


FAILING = (
    ("-u", "nosuch", "web", "true"),
    ("-w", "/etc/passwd", "web", "true"),
    ("web", "/etc/passwd"),
    ("web", "nosuch"),
)


def test_exec_s_flags(shared: Daemon, volume: Path) -> None:
    shared.pysup("run", "-d", "--name", "web", "host", "sleep", "1000", check=True)
    flags = ("-w", "/tmp", "-e", "A=1", "--env-file", f"{volume}/env", "-u", "1000")
    script = "pwd; echo $A $B; id -u; test -t 0 || echo no tty"
    assert shared.pysup("exec", *flags, "web", "sh", "-c", script).stdout == "/tmp\n1 two\n1000\nno tty\n"
    assert shared.pysup("exec", "-i", "web", "cat", stdin=b"through").stdout == "through"
    assert shared.pysup("exec", "-d", "web", "touch", "/tmp/detached").returncode == 0
    missing = shared.pysup("exec", "-w", "/nosuch/place", "web", "true")
    assert missing.returncode == 126
    assert "workdir /nosuch/place: no such file or directory" in missing.stdout + missing.stderr
    assert shared.pysup("exec", "web", "test", "-e", "/nosuch").returncode == 1
    for command in (shared.pysup, shared.docker):
        codes = [command("exec", *words).returncode for words in FAILING]
        assert codes == [126, 126, 126, 127]
    shared.pysup("rm", "-f", "web", check=True)


def test_a_tmpfs_looks_the_same_at_each_start(shared: Daemon) -> None:
    flags = ("--name", "again", "--tmpfs", "/new")
    assert shared.pysup("run", *flags, "host", "stat", "-c", "%a", "/new").stdout == "1777\n"
    assert shared.pysup("start", "-a", "again").stdout == "1777\n"
    shared.pysup("rm", "again", check=True)


def test_ps_counts_the_size_where_the_format_wants_it(shared: Daemon) -> None:
    script = "head -c 100000 /dev/urandom > /big"
    shared.pysup("run", "--name", "big", "host", "sh", "-c", script, check=True)
    for words in (("-s",), ("--format", "{{.Size}}"), ("--format", "json")):
        assert "kB" in shared.pysup("ps", "-a", *words, check=True).stdout
    assert "kB" not in shared.pysup("ps", "-a", check=True).stdout
    shared.pysup("rm", "big", check=True)


def test_the_host_image_keeps_its_name(shared: Daemon, tmp_path: Path) -> None:
    shared.pysup("image", "tag", "host", "mine:1", check=True)
    assert "built in" in shared.pysup("rmi", "host").stderr
    assert shared.pysup("rmi", "mine:1").returncode == 0
    (tmp_path / "rootfs").mkdir()
    subprocess.run(["tar", "-C", tmp_path / "rootfs", "-cf", tmp_path / "a.tar", "."], check=True)
    taken = shared.pysup("import", str(tmp_path / "a.tar"), "host")
    assert taken.returncode == 1
    assert "the machine's own root" in taken.stderr
    assert shared.pysup("run", "--rm", "host", "true").returncode == 0


def test_prune(shared: Daemon, tmp_path: Path) -> None:
    """Dangling images go; with -a what no container uses; never the host image, never without a yes."""
    (tmp_path / "rootfs").mkdir()
    subprocess.run(["tar", "-C", tmp_path / "rootfs", "-cf", tmp_path / "a.tar", "."], check=True)
    names = ("one:1", "two:1")
    ids = [
        shared.pysup("import", "-m", name, str(tmp_path / "a.tar"), name, check=True).stdout.strip()
        for name in names
    ]
    shared.pysup("import", "-m", "again", str(tmp_path / "a.tar"), "one:1", check=True)
    asked = shared.pysup("image", "prune", stdin=b"n\n")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout == (
        "WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] "
    )
    assert shared.docker("image", "prune", stdin=b"n\n").returncode == asked.returncode
    assert ids[0] in shared.pysup("images", "-a", "--no-trunc", check=True).stdout
    assert f"deleted: {ids[0]}" in shared.pysup("image", "prune", "-f", check=True).stdout
    assert "untagged: two:1" in shared.pysup("system", "prune", "-af", check=True).stdout
    assert shared.pysup("images", "--format", "{{.Repository}}", check=True).stdout == "host\n"


@pytest.mark.parametrize(
    "words", ["images --tree", "rmi --platform x y", "image inspect --platform x host",
              "image history --platform x host",
              "swarm init", "context ls", "buildx ls",
              "start --checkpoint x y"]
)  # fmt: skip
def test_what_docker_has_and_pysup_has_not_is_said(shared: Daemon, words: str) -> None:
    done = shared.pysup(*words.split())
    assert done.returncode == 125
    assert "not supported yet" in done.stderr
