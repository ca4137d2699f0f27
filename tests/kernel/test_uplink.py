"""A network for an ordinary user's namespace, by the programs that carry it, with published ports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.network import uplink

pytestmark = pytest.mark.kernel

SET_UP = """
mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200
mkdir /dev/net/bin && ln -s "$(command -v $1)" /dev/net/bin && shift && exec "$@"
"""
"""A machine's /dev/net/tun is everybody's, as here. The program is beside it."""


@pytest.mark.parametrize("program", ["slirp4netns", "pasta"])
def test_a_user_gets_a_way_out_and_published_ports(program: str) -> None:
    assert shutil.which(program), f"{program} is not installed"
    words = [sys.executable, "-m", "helpers.user_uplink", "/dev/net/bin"]
    done = subprocess.run(
        ["unshare", "-mn", "--propagation", "private", "sh", "-c", SET_UP, "sh", program, *words],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    answer = "hello 10.0.2.100"
    assert found == {"governed": False, "left": [], "out": True, "tcp": answer, "udp": answer}


async def test_without_a_program_it_is_said_which_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match=r"neither slirp4netns nor pasta \(package passt\) is installed"):
        await uplink.begin(0, "")


async def test_a_program_that_cannot_be_started_leaves_nothing(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="mount"):
        await uplink._started("slirp4netns", -1, str(tmp_path / "network"), ipv6=False)
    assert (os.listdir("/proc/self/fd"), os.listdir(tmp_path)) == (before, [])
