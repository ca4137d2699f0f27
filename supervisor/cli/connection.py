"""Which daemon a command talks to, and the connection to it.

Order: ``-H`` or ``--socket``/``--run`` on the command line (main.py puts them into the environment), then
PYSUP_SOCKET or PYSUP_RUN, then DOCKER_HOST, then ``/run/pysup/pysup.sock``. Only the last two of these are ever
this machine's own daemon: a host that is named by -H or DOCKER_HOST is never started.
"""

from __future__ import annotations

import os

API_VERSION = "1.47"


def host() -> str:
    """The daemon that DOCKER_HOST names; empty if pysup's own variables come first or there is none."""
    if os.environ.get("PYSUP_SOCKET") or os.environ.get("PYSUP_RUN"):
        return ""
    return os.environ.get("DOCKER_HOST", "")
