from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.api.filters import CONTAINERS, EVENTS, Filters, parse, reference_matches
from pysup.supervisor.errors import BadRequest


@pytest.mark.parametrize(
    "text",
    ['{"status":{"running":true,"paused":true}}', '{"status":["running","paused"]}'],
)
def test_both_spellings_are_read(text: str) -> None:
    assert parse(text, CONTAINERS) == {"status": ("running", "paused")}


@pytest.mark.parametrize("text", [None, "", "{}"])
def test_no_filter_lets_everything_pass(text: str | None) -> None:
    none = parse(text, CONTAINERS)
    assert none.any_of("id", "x")
    assert none.begins("id", "x")
    assert none.labels({})
    assert none.name("x")
    assert none.flag("dangling") is None
    assert none.integers("exited") is None


@pytest.mark.parametrize(
    "text",
    ["[", "[]", "5", '{"nope":["x"]}', '{"id":"x"}', '{"id":[1]}', "[" * 5000, '"' + "x" * 70000 + '"'],
)
def test_what_is_no_filter_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest, match="invalid filter"):
        parse(text, CONTAINERS)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(sorted(EVENTS)), _JSON) | _JSON)
def test_any_json_is_a_filter_or_a_bad_request(value: Any) -> None:
    with suppress(BadRequest):
        assert isinstance(parse(json.dumps(value), EVENTS), Filters)


def test_values_that_are_switched_off_do_not_count() -> None:
    assert parse('{"id":{"a":false,"b":true}}', CONTAINERS) == {"id": ("b",)}


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("web", True),
        ("eb-1", True),
        ("^/web-1$", True),
        ("^web-1$", True),
        ("^w.*1$", True),
        ("web-2", False),
        ("^eb", False),
        ("web-[12]", True),
        ("*", False),
    ],
)
def test_names_are_matched_as_docker_does(pattern: str, *, matches: bool) -> None:
    assert Filters(name=(pattern,)).name("web-1") is matches


@pytest.mark.parametrize("pattern", ["(a+)+$", ".*.*.*.*x", "(a|aa)*b", "a" * 200])
def test_a_pattern_that_could_keep_the_daemon_busy_is_refused(pattern: str) -> None:
    with pytest.raises(BadRequest, match="too complicated"):
        Filters(name=(pattern,)).name("a" * 200)


def test_every_label_asked_for_must_be_there() -> None:
    labels = {"tier": "web", "empty": ""}
    assert Filters(label=("tier", "empty=")).labels(labels)
    assert Filters(label=("tier=web",)).labels(labels)
    assert not Filters(label=("tier=web", "other")).labels(labels)
    assert not Filters(label=("tier=db",)).labels(labels)


def test_ids_match_by_their_beginning() -> None:
    assert Filters(id=("abc",)).begins("id", "abcdef")
    assert not Filters(id=("bc",)).begins("id", "abcdef")


def test_flags_and_integers() -> None:
    assert Filters(dangling=("true",)).flag("dangling") is True
    assert Filters(dangling=("0",)).flag("dangling") is False
    assert Filters(exited=("0", "137")).integers("exited") == {0, 137}
    with pytest.raises(BadRequest, match="invalid filter 'dangling"):
        Filters(dangling=("maybe",)).flag("dangling")
    with pytest.raises(BadRequest, match="invalid filter 'exited"):
        Filters(exited=("x",)).integers("exited")


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("alpine", True),
        ("alpine:3", True),
        ("alp*", True),
        ("alpine:*", True),
        ("a/alpine", False),
        ("*/alpine", False),
        ("alpine:4", False),
    ],
)
def test_references_are_matched_by_globs(pattern: str, *, matches: bool) -> None:
    assert reference_matches([pattern], "alpine", "3") is matches


def test_a_star_in_a_reference_stops_at_a_slash() -> None:
    assert not reference_matches(["local*"], "localhost:5000/app", "1")
    assert reference_matches(["local*/a*:1"], "localhost:5000/app", "1")
