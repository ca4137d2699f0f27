"""A limit of namespaces that is reached is named; in a user namespace of the test's own, whose limits are its own."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.kernel, pytest.mark.vm]

_PROGRAM = """
import errno, sys
from pysup.supervisor.keeper import exhaustion, fork
from pysup.supervisor.keeper.protocol import Spawn
from pysup.supervisor.kernel import process
for name in sys.argv[1:]:
    with open(f"/proc/sys/user/max_{name}_namespaces", "w") as file:
        file.write("0")
flags = process.CLONE_NEWUSER | process.CLONE_NEWPID | process.CLONE_NEWNET | process.CLONE_NEWNS
try:
    fork.fork(Spawn("run/c/1", flags, [], []), {}, -1, [])
except fork.Refused as refused:
    print(refused.step, refused.number, refused.detail, sep="; ")
"""


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (["user"], "user namespaces: limit user.max_user_namespaces reached"),
        (
            ["net", "mnt"],
            "mount namespaces: limit user.max_mnt_namespaces reached, "
            "network namespaces: limit user.max_net_namespaces reached",
        ),
    ],
)
def test_namespaces_that_there_are_no_more_of(limits: list[str], told: str) -> None:
    words = ["unshare", "--user", "--map-root-user", sys.executable, "-c", _PROGRAM, *limits]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == (f"clone; {errno.ENOSPC}; {told}\n", "")
