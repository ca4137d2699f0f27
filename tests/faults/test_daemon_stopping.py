"""While the daemon stops its containers, each with its grace, nothing else begins: it would be left to nobody."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from helpers.mortal import until
from helpers.storage import rows

pytestmark = pytest.mark.kernel

DEAF = "trap '' TERM; echo deaf; read _ < /fifo"
"""Its end waits for the test, not for its stop signal."""


def test_what_would_begin_then_is_refused(tmp_path: Path) -> None:
    daemon, fifo = Daemon(tmp_path), tmp_path / "fifo"
    os.mkfifo(fifo)
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM host\nRUN sleep 1000\n")
    with daemon:
        daemon.pysup("create", "--name", "late", "--network", "none", "host", "sleep", "1000", check=True)
        flags = ["-d", "--name", "deaf", "--network", "none", "-v", f"{fifo}:/fifo", "--stop-timeout", "60"]
        daemon.pysup("run", *flags, "host", "sh", "-c", DEAF, check=True)
        until(lambda: daemon.pysup("logs", "deaf").stdout == "deaf\n", "its trap")
        os.kill(daemon.pid, signal.SIGTERM)
        until(lambda: "stopping: 15" in daemon.log.read_text(), "the daemon's end has begun")
        for words in (
            ["start", "late"],
            ["restart", "late"],
            ["run", "-d", "--network", "none", "host", "sleep", "1000"],
            ["run", "--rm", "--network", "none", "host", "sleep", "1000"],
            ["build", str(context)],
        ):
            done = daemon.pysup(*words)
            assert done.returncode == (125 if words[0] == "run" else 1), done
            assert done.stderr.endswith(": the daemon is stopping\n"), done
        fifo.write_text("\n")
    states = "SELECT name, state FROM container WHERE state <> 'removed' ORDER BY name"
    assert rows(daemon.root, states) == [("deaf", "exited"), ("late", "created")]
