"""Which network a container shows that has nothing on it: what it runs on, whatever its documents say beside that."""

from __future__ import annotations

import pytest

from pysup.supervisor.api.render.networks import has_nothing
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.network import ON_NONE, mode_of


@pytest.mark.parametrize("mode", ["none", "host", "bridge", "further", "container:x"])
@pytest.mark.parametrize("own", [{}, {ON_NONE: True}, {ON_NONE: False}])
def test_what_is_shown_is_what_a_run_gets(mode: str, own: dict[str, bool]) -> None:
    host_config = {"NetworkMode": mode, "Pysup": own}
    gets = mode_of(Fields("test", host_config))
    assert has_nothing(host_config) == (gets if gets in ("none", "host") else "")
