"""What a default container sees of the machine is what tests/surface/golden.json says, or less.

``python -m tests.surface --golden`` writes that file anew: whoever commits it has looked at each line that is new.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from surface import engines

pytestmark = [pytest.mark.kernel, pytest.mark.vm]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> engines.Surface:
    """What the probe finds now."""
    place = tmp_path_factory.mktemp("surface")
    with Daemon(place) as daemon:
        daemon.pysup("import", str(engines.archive(place / "root.tar")), "probe", check=True)
        return engines.probed(daemon.command())


GOLDEN: engines.Surface = json.loads(Path(engines.GOLDEN).read_text())
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def test_no_capability_is_new(found: engines.Surface) -> None:
    """A machine may have fewer."""
    for name in CAPABILITIES:
        assert int(found["status"][name], 16) & ~int(GOLDEN["status"][name], 16) == 0, name
    ours, golden = (
        {k: v for k, v in one["status"].items() if k not in CAPABILITIES} for one in (found, GOLDEN)
    )
    assert ours == golden


@pytest.mark.parametrize("kind", ["leaks", "mounts", "devices"])
def test_what_the_set_up_made_is_the_same_everywhere(found: engines.Surface, kind: str) -> None:
    assert found[kind] == GOLDEN[kind]


def test_no_device_opens_that_did_not(found: engines.Surface) -> None:
    kind = "devices it makes"
    opening = {name for name, told in found[kind].items() if told != "refused"}
    assert opening == {name for name, told in GOLDEN[kind].items() if told != "refused"} == {"null"}


@pytest.mark.parametrize("kind", ["readable", "writable"])
def test_nothing_more_can_be_read_or_written(found: engines.Surface, kind: str) -> None:
    assert set(found[kind]) - set(GOLDEN[kind]) == set()


def test_no_socket_is_reached_that_was_not(found: engines.Surface) -> None:
    ours, golden = found["sockets"], GOLDEN["sockets"]
    works = {name for name, told in ours["families"].items() if told == "works"}
    assert works <= {name for name, told in golden["families"].items() if told == "works"}
    assert (ours["abstract"], ours["interfaces"]) == ([], ["lo"])


def test_no_system_call_is_allowed_that_was_not(found: engines.Surface) -> None:
    assert set(GOLDEN["denied calls"]) - set(found["denied calls"]) == set()
