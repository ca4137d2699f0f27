"""Words: quotes, escapes, variables, as docker's reference describes them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.build.words import LONGEST, BadWord, Lexer

ENV = {"x": "value", "none": "", "path": "/a/b/c.tar.gz", "two": "80 443"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$x", "value"),
        ("${x}s", "values"),
        ("$xs", ""),
        ("\\$x", "$x"),
        ("'$x'", "$x"),
        ('"$x"', "value"),
        ('"\\$x \\" \\n"', '$x " \\n'),
        ("a\\ b", "a b"),
        ("$", "$"),
        ("$1x", "x"),
        ("${y:-d}", "d"),
        ("${none:-d}", "d"),
        ("${none-d}", ""),
        ("${x:-d}", "value"),
        ("${y:+d}", ""),
        ("${x:+d}", "d"),
        ("${none:+d}", ""),
        ("${none+d}", "d"),
        ("${y:-${x}}", "value"),
        ("${y:-'a}b'}", "a}b"),
        ("${path#*/}", "a/b/c.tar.gz"),
        ("${path##*/}", "c.tar.gz"),
        ("${path%.*}", "/a/b/c.tar"),
        ("${path%%.*}", "/a/b/c"),
        ("${path/b/X}", "/a/X/c.tar.gz"),
        ("${path//a/X}", "/X/b/c.tXr.gz"),
    ],
)
def test_a_word_is_expanded(text: str, expected: str) -> None:
    assert Lexer().expand(text, ENV) == expected


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("${x", "missing '}'"),
        ("${x:-a", "missing '}'"),
        ("${}", "bad substitution"),
        ("${x@a}", "unsupported modifier"),
        ("${y:?}", "y: is not allowed to be unset"),
        ("${none:?}", "none: is not allowed to be empty"),
        ("${y?give it}", "y: give it"),
        ("'a", "single-quote"),
        ('"a', "double-quote"),
        ("${y:-" * 200, "too deeply"),
        ("${x%*a*b*c}", "cannot be looked for"),
        ("${x/*a*b*c/d}", "cannot be looked for"),
    ],
)
def test_what_is_wrong_is_said(text: str, cause: str) -> None:
    with pytest.raises(BadWord, match=cause):
        Lexer().expand(text, ENV)


def test_words_are_parted_where_a_variable_has_spaces_but_not_where_it_is_quoted() -> None:
    assert Lexer().split('a $two "$two" b\\ c', ENV) == ["a", "80", "443", "80 443", "b c"]


def test_a_back_quote_escapes_where_the_directive_says_so() -> None:
    assert Lexer("`").expand("C:\\dir`$x", ENV) == "C:\\dir$x"


@given(st.text(alphabet="ab ${}:-+?#%/'\"\\*_1", max_size=30))
def test_any_text_is_expanded_or_refused(text: str) -> None:
    with contextlib.suppress(BadWord):
        Lexer().expand(text, ENV)
        assert Lexer(raw=True).expand(text, {}).count("'") >= 0


@given(st.text(max_size=30).filter(lambda text: not set("$'\"\\") & set(text)))
def test_text_without_special_signs_stays(text: str) -> None:
    assert Lexer().expand(text, ENV) == text


def test_nothing_grows_without_bound() -> None:
    with pytest.raises(BadWord, match="longer than"):
        Lexer().expand("$a$a", {"a": "x" * (LONGEST // 2 + 1)})
    with pytest.raises(BadWord, match="cannot be looked for in 5000 signs"):
        Lexer().expand("${a%*b}", {"a": "x" * 5000})
