"""The keeper's log lines have the form of the engine's."""

from __future__ import annotations

import json
import logging

import pytest

from pysup.supervisor import daemon_log
from pysup.supervisor.keeper import log

NOW = 1_700_000_000.25


@pytest.fixture
def record() -> logging.LogRecord:
    found = logging.LogRecord("pysup.keeper", logging.INFO, "", 0, "a text", None, None)
    found.created = NOW
    return found


def test_json(record: logging.LogRecord) -> None:
    assert json.loads(log.line("a text", "json", NOW)) == json.loads(
        daemon_log.JsonFormatter().format(record)
    )


def test_text(record: logging.LogRecord) -> None:
    said = log.line("a text", "text", NOW)
    assert said.replace("keeper: ", "") == daemon_log.TextFormatter().format(record) + "\n"
