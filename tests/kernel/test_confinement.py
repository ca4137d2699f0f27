"""What a container may do on a real kernel: filters, capabilities, devices, masks, asked for as a client does."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from helpers.bpf import ALLOW, ERRNO, Program
from helpers.daemon import Daemon

from pysup.supervisor.kernel.capabilities import own_bounding
from pysup.supervisor.runtime.seccomp import compilation, selection
from pysup.supervisor.runtime.seccomp.filters import default_profile
from pysup.supervisor.spec.capabilities import ALL, DEFAULT
from pysup.supervisor.spec.seccomp import parse_profile

pytestmark = pytest.mark.kernel

DENIED = Path(__file__).parent.parent / "helpers" / "denied.py"
X86_64 = 0xC000003E
X32 = 0x40000000
LAST = 500
PAST_FILTERS = (335, 336)
"""uretprobe and uprobe of x86-64: the kernel's own trampolines make them, and filters are not asked."""


@pytest.fixture
def daemon(tidy: Daemon) -> Daemon:
    """One for all tests of the module."""
    return tidy


def out(daemon: Daemon, *words: str) -> list[str]:
    """The lines that a container printed, which must end well."""
    done = daemon.pysup("run", "--rm", *words)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout.splitlines()


def status(daemon: Daemon, *words: str) -> dict[str, str]:
    """/proc/self/status of a process in the container."""
    lines = out(daemon, *words, "host", "cat", "/proc/self/status")
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def mask_of(names: frozenset[str] | set[str]) -> str:
    """As /proc shows a set of capabilities, within this process's own."""
    return f"{sum(1 << number for number, name in enumerate(ALL) if name in names and number in own_bounding()):016x}"


# -- seccomp -------------------------------------------------------------------------------------------------


def foretold(architecture_bit: int = 0) -> list[tuple[int, int, int]]:
    """(number, first argument, errno) of every call that the default profile denies."""
    kernel = selection.kernel_version(os.uname().release)
    capabilities = frozenset(name for number, name in enumerate(ALL) if number in own_bounding()) & DEFAULT
    target = selection.Target("x86_64", kernel, capabilities)
    program = Program(compilation.compile_profile(parse_profile(default_profile()), target))
    calls = [(number | architecture_bit, -1) for number in range(LAST) if number not in PAST_FILTERS]
    calls += [(41 | architecture_bit, family) for family in (38, 40, 1 << 32 | 38)]
    calls += [(56 | architecture_bit, flags) for flags in (0x10000000, 0x20000, 0x7E020000)]
    calls += [(135 | architecture_bit, 0x0040000)]
    verdicts = [(number, first, program.run(number, X86_64, [first])) for number, first in calls]
    return [(number, first, verdict ^ ERRNO) for number, first, verdict in verdicts if verdict != ALLOW]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers here are those of x86-64")
def test_every_denied_call_is_denied_by_the_kernel_in_a_run_and_in_an_exec(daemon: Daemon) -> None:
    calls = [*foretold(), *foretold(X32)]
    assert {22, 165, 272, 425, 435} & {number for number, _, _ in calls} == {165, 272, 425, 435}
    command = ["python3", "/denied.py", json.dumps(calls)]
    volume = f"{DENIED}:/denied.py:ro"
    assert out(daemon, "-v", volume, "host", *command) == ["done"]
    assert out(
        daemon, "-v", volume, "--security-opt", "no-new-privileges", "-u", "1000", "host", *command
    ) == ["done"]
    daemon.pysup("run", "-d", "--name", "box", "-v", volume, "host", "sleep", "infinity", check=True)
    assert daemon.pysup("exec", "box", *command, check=True).stdout == "done\n"
    daemon.pysup("rm", "-f", "box", check=True)


def test_the_filter_can_be_left_out_exchanged_and_is_made_once(daemon: Daemon, tmp_path: Path) -> None:
    assert status(daemon)["Seccomp"] == "2"
    assert status(daemon)["Seccomp_filters"] == "1"
    assert status(daemon, "--security-opt", "seccomp=unconfined")["Seccomp"] == "0"
    assert status(daemon, "--security-opt", "seccomp=builtin", "--privileged")["Seccomp"] == "2"
    profile = tmp_path / "profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    done = daemon.pysup("run", "--rm", "--security-opt", f"seccomp={profile}", "host", "mkdir", "/x")
    assert (done.returncode, "No space left on device" in done.stderr) == (1, True)
    kept = sorted(path.name for path in (daemon.root / "seccomp").iterdir())
    assert out(daemon, "--security-opt", f"seccomp={profile}", "host", "true") == []
    assert sorted(path.name for path in (daemon.root / "seccomp").iterdir()) == kept
    assert f"seccomp={json.dumps(json.loads(profile.read_text()), separators=(',', ':'))}" in _options(
        daemon, profile
    )


def _options(daemon: Daemon, profile: Path) -> list[str]:
    words = ["create", "--name", "box", "--security-opt", f"seccomp={profile}", "host", "true"]
    daemon.pysup(*words, check=True)
    host_config = daemon.inspect("box")["HostConfig"]
    daemon.pysup("rm", "box", check=True)
    assert isinstance(host_config, dict)
    return list(host_config["SecurityOpt"])


def test_a_filter_that_kills_its_own_start_is_told(daemon: Daemon, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_KILL_PROCESS"}))
    done = daemon.pysup("run", "--rm", "--security-opt", f"seccomp={profile}", "host", "true")
    assert (done.returncode, "killed by signal 31" in done.stderr) == (125, True)


# -- capabilities --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], DEFAULT),
        (["--cap-drop", "ALL"], set()),
        (["--cap-drop", "all", "--cap-add", "kill"], {"CAP_KILL"}),
        (["--cap-drop", "MKNOD", "--cap-add", "SYS_PTRACE"], DEFAULT - {"CAP_MKNOD"} | {"CAP_SYS_PTRACE"}),
        (["--cap-add", "ALL", "--cap-drop", "SYS_ADMIN"], set(ALL) - {"CAP_SYS_ADMIN"}),
        (["--privileged"], set(ALL)),
    ],
)
def test_capability_sets(daemon: Daemon, words: list[str], wanted: set[str]) -> None:
    found = status(daemon, *words)
    assert [found[name] for name in ("CapPrm", "CapEff", "CapBnd")] == [mask_of(wanted)] * 3
    assert found["CapInh"] == found["CapAmb"] == "0" * 16
    other = status(daemon, *words, "-u", "1000")
    assert [other[name] for name in ("CapPrm", "CapEff", "CapBnd")] == ["0" * 16, "0" * 16, mask_of(wanted)]


def test_no_new_privileges_makes_set_uid_programs_powerless(daemon: Daemon, tmp_path: Path) -> None:
    """A copy of cat with the set-uid bit reads what only root may, unless privileges cannot be gained."""
    script = (
        "cp /bin/cat /cat && chmod u+s /cat && chmod 600 /etc/shadow && "
        "exec setpriv --reuid 1000 --clear-groups /cat /etc/shadow"
    )
    assert daemon.pysup("run", "--rm", "host", "sh", "-c", script).returncode == 0
    done = daemon.pysup("run", "--rm", "--security-opt", "no-new-privileges", "host", "sh", "-c", script)
    assert (done.returncode, "Permission denied" in done.stderr) == (1, True)


def test_an_exec_has_the_container_s_confinement_and_privileged_its_own(daemon: Daemon) -> None:
    options = ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    daemon.pysup("run", "-d", "--name", "box", *options, "host", "sleep", "infinity", check=True)
    plain = daemon.pysup(
        "exec", "box", "grep", "-E", "CapBnd|Seccomp:|NoNewPrivs", "/proc/self/status", check=True
    )
    assert plain.stdout.split() == ["CapBnd:", "0" * 16, "NoNewPrivs:", "1", "Seccomp:", "2"]
    more = daemon.pysup(
        "exec", "--privileged", "box", "grep", "-E", "CapBnd|Seccomp:", "/proc/self/status", check=True
    )
    assert more.stdout.split() == ["CapBnd:", mask_of(set(ALL)), "Seccomp:", "2"]
    daemon.pysup("rm", "-f", "box", check=True)


# -- devices -------------------------------------------------------------------------------------------------

NODES = "kmsg loop0"


def test_a_container_cannot_open_the_host_s_devices(daemon: Daemon) -> None:
    """It can make any node (CAP_MKNOD), and open none but the usual ones: the device cgroup is in force."""
    script = (
        "cd /root; for node in 'b 7 0' 'c 1 1' 'c 1 2' 'c 1 11' 'c 10 200' 'c 4 0'; do set -- $node; "
        "mknod n $1 $2 $3 && { head -c1 n 2>&1 | grep -c 'not permitted'; rm n; }; done; "
        "mknod n c 1 5 && head -c2 n | wc -c"
    )
    assert out(daemon, "host", "sh", "-c", script) == ["1"] * 6 + ["2"]


def test_devices_that_are_given(daemon: Daemon) -> None:
    """--device with other names and less access; its owner and mode are the host's, and stay across a restart."""
    script = (
        "stat -c '%F %t:%T %a' /dev/disk /data/log; head -c0 /dev/disk; "
        "sh -c ': > /dev/disk' 2>&1 | grep -c 'not permitted'; : > /data/log && test ! -e /dev/loop0"
    )
    host = {name: os.stat(f"/dev/{name}") for name in NODES.split()}
    daemon.pysup(
        "run", "--name", "box", "--device", "/dev/loop0:/dev/disk:r", "--device", "/dev/kmsg:/data/log",
        "host", "sh", "-ec", script, check=True,
    )  # fmt: skip
    daemon.pysup("start", "-a", "box", check=True)
    wanted = [
        f"block special file 7:0 {host['loop0'].st_mode & 0o7777:o}",
        f"character special file 1:b {host['kmsg'].st_mode & 0o7777:o}",
        "1",
    ]
    assert daemon.pysup("logs", "box", check=True).stdout.splitlines() == wanted * 2
    daemon.pysup("rm", "box", check=True)


def test_device_rules(daemon: Daemon) -> None:
    script = (
        "cd /root; mknod n b 7 0; head -c0 n && ! sh -c ': > n' 2>/dev/null; "
        "mknod m c 1 11; ! head -c0 m 2>/dev/null"
    )
    assert out(daemon, "--device-cgroup-rule", "b 7:* r", "host", "sh", "-ec", script) == []


def test_a_device_that_is_not_there_is_told(daemon: Daemon) -> None:
    done = daemon.pysup("run", "--rm", "--name", "box", "--device", "/dev/none", "host", "true")
    assert (
        done.stderr.strip()
        == "pysup: cannot start container box: device /dev/none: no such file or directory"
    )
    assert done.returncode == 125


def test_privileged(daemon: Daemon) -> None:
    """Devices, mounts, /sys and /proc are open; the host's own mounts stay as they are."""
    before = Path("/proc/self/mounts").read_text()
    script = (
        "head -c0 /dev/loop0; mount -t tmpfs none /mnt; grep -c Seccomp:.0 /proc/self/status; "
        "awk '$2 ~ \"^/(sys|proc)\" && $4 !~ /^rw/ {print $2}' /proc/self/mounts; "
        "ls /sys/firmware > /dev/null; test -w /proc/sys/kernel/hostname; "
        "d=$(awk '$3 ~ /^cgroup/ {print $2; exit}' /proc/self/mounts); mkdir $d/x; rmdir $d/x"
    )
    lines = out(daemon, "--privileged", "host", "sh", "-ec", script)
    assert lines[0] == "1"
    assert lines[1:] in ([], ["/sys/fs/cgroup"]), "only the empty directory above the hierarchies"
    assert Path("/proc/self/mounts").read_text() == before


# -- masks ---------------------------------------------------------------------------------------------------


def test_masks_can_be_added_and_taken_away(daemon: Daemon) -> None:
    script = "wc -c < /etc/passwd; ls -A /usr/share; grep -c . /proc/interrupts; ! test -w /proc/sys/kernel/hostname"
    masked = ["--security-opt", "mask=/etc/passwd:/usr/share", "--security-opt", "unmask=/proc/interrupts"]
    first, second = out(daemon, *masked, "host", "sh", "-ec", script)
    assert (first, int(second) > 0) == ("0", True)
    seen = "grep -c ' /proc/' /proc/self/mounts || true"
    assert out(daemon, "--security-opt", "systempaths=unconfined", "host", "sh", "-c", seen) == ["0"]
    assert out(daemon, "--security-opt", "unmask=ALL", "host", "sh", "-c", seen) == ["0"]
    assert int(out(daemon, "host", "sh", "-c", seen)[0]) > 5


# -- docker's own command ------------------------------------------------------------------------------------


def docker(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    """docker, which must end well."""
    done = daemon.docker(*words)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done


def test_docker_s_command(daemon: Daemon, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    rule = {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    options = [
        "--device", "/dev/loop0:/dev/disk:r", "--device-cgroup-rule", "c 42:* rmw", "--cap-drop", "ALL",
        "--security-opt", f"seccomp={profile}", "--security-opt", "no-new-privileges",
        "--security-opt", "systempaths=unconfined",
    ]  # fmt: skip
    docker(daemon, "run", "-d", "--name", "box", *options, "host", "sleep", "infinity")
    found = json.loads(docker(daemon, "inspect", "box").stdout)[0]["HostConfig"]
    assert found["Devices"] == [
        {"PathOnHost": "/dev/loop0", "PathInContainer": "/dev/disk", "CgroupPermissions": "r"}
    ]
    assert found["DeviceCgroupRules"] == ["c 42:* rmw"]
    assert found["MaskedPaths"] == found["ReadonlyPaths"] == []
    assert found["SecurityOpt"][1:] == ["no-new-privileges"] and "SCMP_ACT_ALLOW" in found["SecurityOpt"][0]
    shown = docker(
        daemon, "exec", "box", "grep", "-E", "Seccomp:|NoNewPrivs|CapBnd", "/proc/self/status"
    ).stdout
    assert shown.split()[1::2] == ["0" * 16, "1", "2"]
    assert docker(
        daemon, "exec", "--privileged", "box", "grep", "CapEff", "/proc/self/status"
    ).stdout.split()[1] == mask_of(set(ALL))
    docker(daemon, "rm", "-f", "box")
    docker(daemon, "create", "--name", "box", "--privileged", "host", "true")
    found = json.loads(docker(daemon, "inspect", "box").stdout)[0]["HostConfig"]
    assert (found["Privileged"], found["MaskedPaths"], found["ReadonlyPaths"]) == (True, None, None)
    docker(daemon, "rm", "box")
    refused = daemon.docker("run", "--security-opt", "apparmor=none-such", "host", "true")
    assert (refused.returncode, "this kernel has no AppArmor" in refused.stderr) == (125, True)
