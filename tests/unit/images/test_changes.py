"""--change: the instructions, and one line for each way to get them wrong."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.images.changes import INSTRUCTIONS, apply_changes

FIELDS = {
    "Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "OnBuild", "StopSignal", "User", "Volumes",
    "WorkingDir",
}  # fmt: skip


def test_every_instruction() -> None:
    changes = [
        'CMD ["ls", "/"]',
        "entrypoint exec ls",
        'ENV A=b C="d e"',
        "ENV OLD form of it",
        "ENV A=z",
        "EXPOSE 80 53/udp",
        "LABEL a=b",
        "USER me",
        'VOLUME ["/data"]',
        "WORKDIR /w",
        "STOPSIGNAL SIGINT",
        "ONBUILD RUN x",
        "HEALTHCHECK NONE",
    ]
    assert apply_changes(changes) == {
        "Cmd": ["ls", "/"],
        "Entrypoint": ["/bin/sh", "-c", "exec ls"],
        "Env": ["A=z", "C=d e", "OLD=form of it"],
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Labels": {"a": "b"},
        "User": "me",
        "Volumes": {"/data": {}},
        "WorkingDir": "/w",
        "StopSignal": "SIGINT",
        "OnBuild": ["RUN x"],
        "Healthcheck": {"Test": ["NONE"]},
    }


def test_a_config_that_is_there_is_changed() -> None:
    before = {"Env": ["PATH=/bin", "A=b"], "Cmd": ["x"], "User": "me"}
    assert apply_changes(["ENV PATH=/new:$PATH", "ENTRYPOINT [\"e\"]"], before) == {
        "Env": ["PATH=/new:/bin", "A=b"], "User": "me", "Entrypoint": ["e"],
    }  # fmt: skip
    assert before["Cmd"] == ["x"]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ("RUN x", "RUN is not one of"),
        ("CMD", "no argument"),
        ("CMD [1]", "only string type"),
        ("EXPOSE 70000", "70000 is not a port"),
        ("ENV A", "two arguments"),
        ('LABEL a="b', "matching double-quote"),
    ],
)
def test_what_is_wrong_is_said(change: str, cause: str) -> None:
    with pytest.raises(BadRequest, match=cause):
        apply_changes([change])


@given(st.sampled_from(sorted(INSTRUCTIONS)), st.text(max_size=40))
def test_any_argument_is_taken_or_refused(word: str, rest: str) -> None:
    with contextlib.suppress(BadRequest):
        assert set(apply_changes([f"{word} {rest}"])) <= FIELDS
