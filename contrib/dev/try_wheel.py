"""Run a container with an installed pysup, in mount and network namespaces of its own; the daemon is ended afterwards.

Usage: try_wheel.py PYSUP      (PYSUP_ROOT, PYSUP_RUN and PYSUP_CGROUP_ROOT say where)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys


def main(pysup: str) -> int:
    """Start a daemon, run the README's first container, end the daemon; the exit code of the worst of them."""
    daemon = subprocess.Popen(["unshare", "--mount", "--net", "--propagation", "private", pysup, "daemon"])
    try:
        command = [pysup, "run", "--rm", "host", "echo", "hello from a container"]
        wait_for_socket(os.path.join(os.environ["PYSUP_RUN"], "pysup.sock"), daemon)
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    finally:
        daemon.send_signal(signal.SIGTERM)
        code = daemon.wait(60)
    print(said, end="")
    return 0 if said == "hello from a container\n" and code == 0 else 1


def wait_for_socket(path: str, daemon: subprocess.Popen[bytes]) -> None:
    """The socket is there before it is answered: a connection waits. It needs no more than to exist."""
    while not os.path.exists(path):
        if daemon.poll() is not None:
            raise SystemExit(f"the daemon ended with code {daemon.returncode}")
        os.sched_yield()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
