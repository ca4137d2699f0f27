"""The daemon's own log lines, on stderr: text for people, JSON for collectors."""

from __future__ import annotations

import json
import logging
import sys


class TextFormatter(logging.Formatter):
    """``2026-01-31T12:00:00 INFO message``; without a time where the journal adds its own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")


class JsonFormatter(logging.Formatter):
    """One object a line: time (seconds since the epoch), level, logger, message, and error with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        fields: dict[str, object] = {
            "time": round(record.created, 6),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def configure(log_format: str) -> None:
    """Send everything of level INFO and above to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
