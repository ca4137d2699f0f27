"""When the keeper makes children ahead again of those that have ended while they waited."""

from __future__ import annotations

import signal
import time

import pytest

from pysup.supervisor.keeper.poller import Poller
from pysup.supervisor.keeper.stock import KILLED_AFTER, Stock


@pytest.fixture
def stock() -> Stock:
    return Stock(Poller())


def test_one_that_was_killed_is_replaced_but_not_at_once(stock: Stock) -> None:
    before = time.monotonic()
    stock._on_lost(signal.SIGKILL)
    assert stock.due is not None
    assert before + KILLED_AFTER <= stock.due <= time.monotonic() + KILLED_AFTER


def test_one_whose_stage_cannot_be_made_is_not(stock: Stock) -> None:
    """The next one would end, too, and so on for ever."""
    stock._on_lost(125 << 8)
    assert stock.due is None


def test_what_is_due_sooner_stays_so(stock: Stock) -> None:
    stock.due = due = time.monotonic()
    stock._on_lost(signal.SIGKILL)
    assert stock.due == due
