"""SIGKILL of the engine while commands run containers: whoever types them sees nothing of it."""

from __future__ import annotations

import random
import select
from collections.abc import Callable

import pytest
from helpers.mortal import Mortal
from helpers.storage import assert_sound, rows
from helpers.storms import Storm, storming

from pysup.supervisor.client.sync import Client

pytestmark = pytest.mark.kernel


def commanding(mortal: Mortal, *flags: str) -> Callable[[Client], None]:
    """The command, from the creation of a container to its exit code: no death of an engine's is to be seen."""
    words = ["run", *flags, "--net", "none", "host", "sh", "-c", "echo out; echo err >&2; exit 5"]

    def act(_client: Client) -> None:
        done = mortal.pysup(*words)
        assert (done.returncode, done.stdout, done.stderr) == (5, "out\n", "err\n"), done

    return act


def test_a_command_from_creation_to_exit_code(mortal: Mortal) -> None:
    seed = random.SystemRandom().randrange(1, 1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    with storming(Storm(mortal, commanding(mortal, *flags)) for flags in ((), ("--rm",))):
        for _ in range(8):
            select.select([], [], [], dice.uniform(0, 0.25))
            mortal.kill("engine")
            mortal.wait_until_it_serves()
    assert rows(mortal.root, "SELECT 1 FROM container WHERE state NOT IN ('removed', 'exited')") == []
    assert_sound(mortal.root)
