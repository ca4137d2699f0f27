"""The keeper's own log lines on standard error, in the forms of daemon_log.py: text or JSON.

The logging module would cost it a megabyte.
"""

from __future__ import annotations

import contextlib
import json
import os
import time


def line(text: str, log_format: str, now: float) -> str:
    """One line, ended by a newline."""
    if log_format == "json":
        fields = {"time": round(now, 6), "level": "info", "logger": "pysup.keeper", "message": text}
        return json.dumps(fields) + "\n"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.localtime(now))} INFO keeper: {text}\n"


def write(text: str, log_format: str) -> None:
    """Write a line; a reader that is gone is no reason to end."""
    with contextlib.suppress(OSError):
        os.write(2, line(text, log_format, time.time()).encode(errors="replace"))
