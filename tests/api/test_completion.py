"""TAB in a real bash: commands, flags, and the names of the daemon's containers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel

PRESS = r"""
source <(pysup completion bash)
compopt() { local IFS=' '; echo "compopt $*"; }
COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=(pysup)
_pysup
((${#COMPREPLY[@]})) && printf '%s\n' "${COMPREPLY[@]}"
true
"""


def test_what_tab_gives(daemon: Daemon, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "pysup"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pysup.supervisor.cli.main "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYSUP_SOCKET": str(daemon.socket),
    }

    def tab(line: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", PRESS, "bash", line], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        return done.stdout.splitlines()

    daemon.pysup("create", "--name", "resting", "host", "true", check=True)
    daemon.pysup("run", "-d", "--name", "running", "host", "sleep", "1000", check=True)
    assert tab("pysup unp") == ["unpause"]
    assert tab("pysup rm ") == ["resting", "running"]
    assert tab("pysup rm resting r") == ["running"]
    assert tab("pysup exec -it ") == ["running"]
    assert tab("pysup start r") == ["resting"]
    assert tab("pysup stop ") == ["running"]
    assert tab("pysup unpause ") == []
    assert tab("pysup run --rm ho") == ["host"]
    assert tab("pysup inspect re") == ["resting"]
    assert tab("pysup run --restart=un") == ["unless-stopped"]
    assert tab("pysup import ") == ["compopt -o default"]
    daemon.pysup("rm", "-f", "running", "resting", check=True)
