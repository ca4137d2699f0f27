"""Commit what has happened already: it cannot be refused, only delayed until the store takes it (a full disk)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

from pysup.store.errors import StoreError

log = logging.getLogger(__name__)

RETRY_STORE = 1.0
"""Seconds between tries."""


async def surely(what: str, commit: Callable[[], Awaitable[None]]) -> None:
    """Call ``commit`` until it raises no StoreError. ``what`` names it in the log: "container web"."""
    while True:
        try:
            return await commit()
        except StoreError as error:
            log.error("%s: %s; trying again", what, error)
        await trio.sleep(RETRY_STORE)
