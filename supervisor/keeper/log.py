"""The keeper's own log lines on standard error, as text or JSON. The logging module would cost it a
megabyte.
"""

from __future__ import annotations

import contextlib
import json
import os
import time


def line(text: str, log_format: str, now: float) -> str:
    """One line, ended by a newline."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    if log_format == "json":
        return json.dumps({"time": stamp, "room": "keeper", "text": text}) + "\n"
    return f"{stamp} keeper: {text}\n"


def write(text: str, log_format: str) -> None:
    """Write a line; a reader that is gone is no reason to end."""
    with contextlib.suppress(OSError):
        os.write(2, line(text, log_format, time.time()).encode(errors="replace"))
