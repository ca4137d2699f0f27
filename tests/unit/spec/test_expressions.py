"""Regular expressions of strangers: how long a search may take is known before."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.api.filters import Filters
from pysup.supervisor.errors import BadRequest
from pysup.supervisor.spec import expressions, log_details

LONG = 255
ENDLESS = [
    "(a|a)" * 25, "(?:a|aa)" * 15 + "$b", "a*a*a*$b", "(a+)+$", "(a|aa)*b", ".*.*.*.*x", "a?" * 30 + "a" * 30,
    "(?#[)(a+)+(?#])", "(?x:#[\n(a+)+)", "((a|aa)?(a|aa)?(a|aa)?(a|aa)?){2}", "[]](a|a)" * 13, "(?:a{1,99}){2,99}",
]  # fmt: skip


@pytest.mark.parametrize("pattern", ENDLESS)
def test_one_that_could_take_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(expressions.TooCostly):
        expressions.check(pattern, LONG)
    with pytest.raises(BadRequest, match="too complicated"):
        Filters(name=(pattern,)).name("a" * LONG)
    with pytest.raises(ValueError, match="too complicated"):
        log_details.check({"labels-regex": pattern})


@pytest.mark.parametrize(
    "pattern",
    [
        "^/web.*$",
        ".*web.*",
        "^/(web|db|cache|api|queue)-[0-9]+$",
        "a|b|c|d|e|f|g",
        "[|*+?(]",
        r"\(\|\*",
        "(?i)WEB",
        "[",
    ],
)
def test_usual_ones_are_not(pattern: str) -> None:
    expressions.check(pattern, LONG)


def test_all_patterns_and_names_of_a_request_together() -> None:
    filters = Filters(name=("a.*a.*b",) * 1000)
    with pytest.raises(BadRequest, match="too complicated"):
        filters.name("a" * LONG)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@given(st.text("ab|?*+()[]^{},1\\", max_size=14))
def test_what_is_let_through_ends_soon(pattern: str) -> None:
    """Some hundredths of a second, on a slow machine tenths."""
    try:
        compiled = re.compile(pattern)
        expressions.check(pattern, 60)
    except (re.error, OverflowError, expressions.TooCostly):
        return
    before = time.process_time()
    compiled.search("a" * 60)
    assert time.process_time() - before < 2


def test_a_label_of_any_length_is_not_looked_through() -> None:
    config = {"Labels": {"a" * 100_000: "long", "aab": "short"}}
    found = log_details.details({"labels-regex": "a.*b"}, config, id="i", name="n", image_id="")
    assert found == "aab=short"
