"""Secrets in words and documents: the grammar, and that no value stays in what is kept."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.spec.from_docker import CREATE, normalise
from pysup.supervisor.spec.secrets import Asked, check_secret_name, parse_secret, without_values

ID = "0" * 64
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def body(*entries: Any) -> dict[str, Any]:
    return {"Image": "x", "Cmd": ["true"], "HostConfig": {"Pysup": {"Secrets": list(entries)}}}


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("token", Asked("", {"Name": "token"})),
        ("token,uid=1,gid=2,mode=0400", Asked("", {"Name": "token", "UID": 1, "GID": 2, "Mode": 256})),
        ("token,target=/a", Asked("", {"Name": "token", "Target": "/a"})),
        ("src=/etc/key", Asked("/etc/key", {"Target": "key"})),
        ("id=mine,src=key", Asked("key", {"Target": "mine"})),
        ("source=-,target=x", Asked("-", {"Target": "x"})),
    ],
)  # fmt: skip
def test_the_grammar(text: str, asked: Asked) -> None:
    assert parse_secret(text) == asked


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "key=value"),
        ("target=x", "name of a secret"),
        ("token,src=x", "not both"),
        ("token,type=env", "unexpected key 'type'"),
        ("token,uid=root", "it must be a number"),
        ("token,mode=9", "it must be a number"),
        ("token,mode", "key=value"),
    ],
)
def test_what_is_wrong_in_it(text: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        parse_secret(text)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        asked = parse_secret(text)
    except ValueError:
        return
    assert bool(asked.file) != bool(asked.entry.get("Name"))


@pytest.mark.parametrize("name", ["", ".", "..", "-a", "a-", "a/b", "a" * 65, "a\n", "ä"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(BadRequest, match="at most 64 characters"):
        check_secret_name(name)


@given(value=st.binary(min_size=1, max_size=64), target=st.sampled_from(["key", "/etc/key"]))
def test_a_value_does_not_stay_in_the_documents(value: bytes, target: str) -> None:
    data = base64.b64encode(value).decode()
    kept, taken = without_values(body({"Data": data, "Target": target}), ID, CREATE)
    assert [one.value for one in taken] == [value]
    made = normalise(kept, {})
    assert "Data" not in json.dumps([made.config, made.host_config])
    (secret,) = made.spec.secrets
    assert (secret.name, secret.target.endswith("key")) == (taken[0].name, True)
    assert normalise({**made.config, "HostConfig": made.host_config}, {}).host_config == made.host_config


@given(st.lists(JSON, max_size=3))
def test_whatever_stands_there_is_taken_or_refused(entries: list[Any]) -> None:
    try:
        kept, _ = without_values(body(*entries), ID, CREATE)
        normalise(kept, {})
    except BadRequest:
        return


@pytest.mark.parametrize(
    "other",
    [
        {"Binds": ["/srv:/run/secrets"]},
        {"Binds": ["/srv:/run/secrets/token"]},
        {"Tmpfs": {"/run/secrets/deep": ""}},
    ],
)
def test_mounts_in_the_same_place_conflict(other: dict[str, Any]) -> None:
    wanted = body({"Name": "token"})
    wanted["HostConfig"] |= other
    with pytest.raises(BadRequest, match="secret"):
        normalise(wanted, {})


def test_two_secrets_in_one_place_conflict() -> None:
    with pytest.raises(BadRequest, match="two things are to be at /run/secrets/a"):
        normalise(body({"Name": "a"}, {"Name": "b", "Target": "a"}), {})
