"""What is typed wrong ends with docker's exit code: 125 of run and create, and of what cannot be parsed; else 1."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel

KNOWN = 28
"""The version of docker's command line that these codes are of; of another one only pysup's are looked at."""

REFUSED = [
    "--memory 1",
    "--memory-swap 5m",
    "--cpus 1000",
    "--cpus -1",
    "--cpu-period 5",
    "--cpu-quota 5",
    "--cpuset-cpus x",
    "--cpuset-cpus 999",
    "--cpuset-mems 99",
    "--oom-score-adj 5000",
    "--restart always:3",
    "--restart on-failure:-1",
    "--stop-signal FOO",
    "--ip 1.2.3",
    "--ip6 x",
    "--link nosuch",
    "-v /a:b",
    "-v /a:/b:bad",
    "-v n@me:/b",
    "--volumes-from nosuch",
    "--volumes-from a:bad",
    "--mount type=bad,target=/x",
    "--mount type=bind,source=/nosuch,target=/x",
    "--tmpfs x",
    "--cap-add FOO",
    "--security-opt foo=1",
    "--security-opt no-new-privileges=x",
    "-w relative",
    "--pid container:nosuch",
    "--ipc container:nosuch",
    "--log-driver nosuch",
    "--name -foo",
    "--name up",
    "--health-interval 1ns",
]
"""What the daemon refuses of a new container: docker's create ends with 1 then, and its run with 125."""

WRONG = [
    (125, "ps --foo"),
    (125, "ps --filter foo"),
    (1, "ps --filter foo=bar"),
    (1, "ps x"),
    (125, "exec -e =x up true"),
    (1, "exec --detach-keys foo up true"),
    (1, "exec --env-file /nosuch up true"),
    (1, "exec up"),
    (1, "exec nosuch true"),
    (1, "exec down true"),
    (127, "exec up nosuch"),
    (126, "exec up /etc/passwd"),
    (1, "attach --detach-keys foo up"),
    (1, "start -a --detach-keys foo down"),
    (1, "run --rm --detach-keys foo host true"),
    (1, "update --restart on-failure:x up"),
    (1, "update --restart :1 up"),
    (1, "update --blkio-weight 5 up"),
    (125, "update --cpus x up"),
    (125, "update --memory -1 up"),
    (125, "create --restart on-failure:x host true"),
    (125, "create --env-file /nosuch host true"),
    (125, "create --label =x host true"),
    (125, "create --pid foo host true"),
    (125, "create --device foo host true"),
    (125, "create --sysctl foo=1 host true"),
    (125, "create --dns foo host true"),
    (125, "create --dns-search / host true"),
    (125, "create --add-host foo host true"),
    (125, "create --network-alias foo host true"),
    (125, "create --network '' host true"),
    (125, "create --ulimit foo=1 host true"),
    (125, "create --ulimit nofile host true"),
    (125, "create --ulimit nofile=9:8 host true"),
    *(
        (125, f"create --sysctl {one}=1 host true")
        for one in ("kernel.foo", "kernel.hostname", "fs.file-max")
    ),
    (125, "create --memory-swappiness 101 host true"),
    (125, "create --device-write-iops /dev/null:-1 host true"),
    (125, "create --device-write-bps /dev/null:-1 host true"),
    (125, "create --userns foo host true"),
    (125, "build --ulimit foo=1 ."),
    *((1, f"create {words} host true") for words in REFUSED),
    *((125, f"run --rm {words} host true") for words in REFUSED),
    (1, "create --network nosuch host true"),
    (1, "create --restart foo host true"),
    (1, "create --log-opt foo=1 host true"),
    (125, "run --log-opt foo=1 host true"),
    (1, "create"),
    (1, "run"),
    (125, "build --tag / ."),
    (125, "build --add-host foo ."),
    (125, "volume create --label =x"),
    (1, "network create --opt foo=1 net"),
    (1, "logs --since x up"),
    (1, "logs --since -1 up"),
    (1, "kill --signal FOO up"),
    (1, "inspect --type '' up"),
    (125, "inspect -f"),
    (1, "inspect ''"),
    (1, "volume inspect ''"),
    (1, "stop ''"),
    (125, "network connect --link '' nosuch up"),
    (125, "container --nosuch"),
    (1, "container nosuch"),
    (1, "nosuch"),
    (125, "--nosuch ps"),
]


@pytest.fixture(scope="module")
def daemon(shared: Daemon) -> Iterator[Daemon]:
    """With a container that runs and one that does not."""
    shared.pysup("run", "-d", "--name", "up", "host", "sleep", "1000", check=True)
    shared.pysup("create", "--name", "down", "host", "true", check=True)
    yield shared
    shared.remove_containers()


@pytest.fixture(scope="module")
def is_known() -> bool:
    """Whether the docker command here is that of KNOWN."""
    told = subprocess.run(["docker", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)", told)
    return found is not None and int(found[1]) == KNOWN


@pytest.mark.parametrize(("code", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_is_typed_wrong(daemon: Daemon, is_known: bool, code: int, words: str) -> None:
    argv = shlex.split(words)
    done = daemon.pysup(*argv)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), done
    assert done.stdout in ("", "[]\n") and done.stderr.startswith("pysup: cannot "), done
    if is_known:
        assert daemon.docker(*argv, timeout=30).returncode == code
