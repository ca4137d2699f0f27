"""The nftables table as the engine has it, without a kernel."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio

from pysup.store.networks import Network
from pysup.supervisor.engine.networks.table import Table
from pysup.supervisor.errors import Unavailable

NOBODY = cast("Any", None)
NETWORK = Network("1" * 64, "mine", "bridge", "br0", False, False, True, False, {}, {}, {}, 1)


class Ended:
    """A firewall whose process is gone."""

    async def apply(self, _commands: str, what: str) -> str:
        await trio.lowlevel.checkpoint()
        raise Unavailable(f"cannot {what}: nftables: its process has ended")


async def test_a_network_that_is_made_does_not_fail_for_a_warning_that_cannot_be_given(
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = Table(NOBODY, cast("Any", Ended()), NOBODY, NOBODY, raised=list)
    await table.warn_of_droppers(NETWORK)
    assert "drop of network mine: cannot list the chains: nftables: its process has ended" in caplog.text
