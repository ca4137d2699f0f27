"""Queries and JSON bodies: what a client may send, and that nothing it sends is more than a bad request."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.api import filters
from pysup.supervisor.api.router import MAXIMUM
from pysup.supervisor.api.wire import Query, Request, json_response
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.errors import BadRequest

# -- queries -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=1&a=2", "2"), ("a=", ""), ("a", ""), ("b=1", "none"), ("a=x%20y+z", "x y z"), ("a=%ff", "\ufffd")],
)  # fmt: skip
def test_the_last_value_counts(text: str, value: str) -> None:
    assert Query(text).text("a", "none") == value


def test_all_values_are_there() -> None:
    assert Query("a=1&b=2&a=3").values("a") == ["1", "3"]
    assert Query("").values("a") == []
    assert "a" in Query("a") and "b" not in Query("a")


@pytest.mark.parametrize(
    ("text", "on"),
    [("a=1", True), ("a=true", True), ("a=anything", True), ("a=-1", True), ("a", False), ("a=0", False),
     ("a=No", False), ("a=FALSE", False), ("a=none", False), ("a=+", False), ("", False)],
)  # fmt: skip
def test_flags_as_docker_reads_them(text: str, on: bool) -> None:
    assert Query(text).flag("a") is on


def test_a_flag_that_is_not_there() -> None:
    assert Query("").flag("a", default=True) is True
    assert Query("a=0").flag("a", default=True) is False


@pytest.mark.parametrize(
    ("text", "number"), [("a=5", 5), ("a=-5", -5), ("a=%2B5", 5), ("a=", 9), ("", 9), ("a=007", 7)]
)
def test_whole_numbers(text: str, number: int) -> None:
    assert Query(text).integer("a", 9) == number


@pytest.mark.parametrize("text", ["1.0", "1e3", "0x1", "1_0", "%D9%A1", "x", "1 ", "9" * 19, "-", "%00"])
def test_what_is_no_whole_number(text: str) -> None:
    with pytest.raises(BadRequest, match="is not a whole number"):
        Query(f"a={text}").integer("a")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_any_query_can_be_read(text: str) -> None:
    query = Query(text)
    assert isinstance(query.text("a"), str)
    assert query.flag("a") in {True, False}
    query.text("a").encode()


# -- bodies --------------------------------------------------------------------------------------------------


def read(content: bytes, kind: str = "application/json", cut: int = 3) -> Any:
    async def body() -> AsyncIterator[bytes]:
        for at in range(0, len(content), cut):
            yield content[at : at + cut]

    headers = {"content-type": kind}
    return trio.run(Request("POST", "/", Query(""), headers, Caller(0, 1, "x"), body, MAXIMUM).json)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.booleans())
def test_a_document_is_read_as_it_was_written(value: Any, ascii_only: bool) -> None:
    content = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert read(content, "application/json; charset=utf-8", 7) == value


@given(st.binary(max_size=40) | st.text('[]{}",:\\ud8e019-+.NaIfty ', max_size=40).map(str.encode))
def test_any_bytes_are_a_document_or_a_bad_request(content: bytes) -> None:
    with suppress(BadRequest):
        json.dumps(read(content), ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize(
    "content",
    [
        b'"\\ud800"', b'{"\\uDFFF": 1}', b"NaN", b"[-Infinity]", b"[" * 200_000, b'{"a":' * 200_000,
        b"1" * 9999, b"1e999",
    ],
)  # fmt: skip
def test_what_other_parsers_would_take(content: bytes) -> None:
    with pytest.raises(BadRequest, match="the body is not JSON"):
        read(content, cut=1 << 20)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert read(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_an_answer_is_json_whatever_is_in_it() -> None:
    answer = json_response({"name": "\U0001f600\x00"})
    assert json.loads(answer.body) == {"name": "\U0001f600\x00"} and answer.content_type == "application/json"


# -- filters -------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.sampled_from(sorted(filters.CONTAINERS)), st.lists(st.text(), max_size=3)))
def test_both_ways_of_writing_filters_mean_the_same(wanted: dict[str, list[str]]) -> None:
    lists = filters.parse(json.dumps(wanted), filters.CONTAINERS)
    objects = filters.parse(
        json.dumps({key: dict.fromkeys(values, True) for key, values in wanted.items()}), filters.CONTAINERS
    )
    assert {key: set(values) for key, values in lists.items()} == {
        key: set(values) for key, values in objects.items()
    }


@given(st.text(max_size=30) | VALUES.map(json.dumps))
def test_any_filters_are_read_or_refused(text: str) -> None:
    with suppress(BadRequest):
        assert set(filters.parse(text, filters.CONTAINERS)) <= filters.CONTAINERS


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"name":' * 5000, '{"name": "x"}', '{"name": [1]}', "1" * 10_000]
)
def test_filters_that_are_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        filters.parse(text, filters.CONTAINERS)
