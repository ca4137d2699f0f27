"""Patterns of COPY and of .dockerignore; the cases are those that docker's documentation and Go's describe."""

from __future__ import annotations

import contextlib
import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.build.ignoring import read_ignore_file
from pysup.supervisor.build.patterns import BadPattern, Pattern, glob, ignore
from pysup.supervisor.errors import BadRequest


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*", "abc", True),
        ("a*", "ab/c", False),
        ("a*/b", "abc/b", True),
        ("ab[b-d]", "abc", True),
        ("ab[^e-g]", "abc", True),
        ("a\\*b", "a*b", True),
        ("a?b", "a/b", False),
        ("a[^x]b", "a/b", False),
        ("[\\]a]", "]", True),
        ("a.b", "axb", False),
        ("[z-a]", "z", False),
    ],
)
def test_globs(pattern: str, name: str, fits: bool) -> None:
    assert glob(pattern).fits(name) == fits


@pytest.mark.parametrize("pattern", ["[", "a[", "[]a]", "[-]", "[x-]", "\\"])
def test_what_is_no_glob(pattern: str) -> None:
    with pytest.raises(BadPattern, match="syntax error"):
        glob(pattern)


@given(st.text(alphabet="ab?*", max_size=12), st.text(alphabet="ab", max_size=12))
def test_without_brackets_it_is_what_a_shell_does(pattern: str, name: str) -> None:
    assert glob(pattern).fits(name) == fnmatch.fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    ("rules", "path", "left_out"),
    [
        ("*/temp*", "a/temporary.txt", True),
        ("*/temp*", "a/b/temporary.txt", False),
        ("*/*/temp*", "a/b/temporary.txt", True),
        ("temp?", "tempa", True),
        ("**/*.go", "a/b/c.go", True),
        ("**/*.go", "c.go", True),
        ("*.md\n!README.md", "README.md", False),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
        ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", False),
        ("a", "a/b/c", True),
        ("a\n!a/b", "a/b/c", False),
        ("a\n!a/b", "a/c", True),
        ("/a/", "a", True),
        ("./a/../b", "b", True),
        ("# a", "# a", False),
        (" a ", "a", True),
        ("! a\na\n! a ", "a", False),
        ("abc/**", "abc", False),
        ("abc/**", "abc/d/e", True),
        ("**.md", "x/y.md", True),
        ("**", "a", True),
        ("", "a", False),
        ("\ufeffa", "a", True),
    ],
)
def test_ignore_files(rules: str, path: str, left_out: bool) -> None:
    assert read_ignore_file(rules)(path) == left_out


def test_a_directory_is_looked_into_only_where_an_exception_may_lie() -> None:
    ignored = read_ignore_file("a\nb\nc\n!a/keep\n!**/always\n")
    assert not ignored.wholly("a")
    assert not ignored.wholly("b"), "**/always may lie there"
    plain = read_ignore_file("a\nb\n!a/x/keep*\n")
    assert (plain.wholly("a"), plain.wholly("a/x"), plain.wholly("a/y"), plain.wholly("b")) == (
        False, False, True, True,
    )  # fmt: skip


@pytest.mark.parametrize("rules", ["!", "!  ", "a[", "\\"])
def test_a_bad_rule_is_refused(rules: str) -> None:
    with pytest.raises(BadRequest, match=r"cannot read .dockerignore"):
        read_ignore_file(rules)


@given(st.text(alphabet="ab/*?!.#[]\\ \n", max_size=30), st.text(alphabet="ab/.", min_size=1, max_size=10))
def test_any_file_is_read_or_refused_and_what_is_left_out_wholly_has_no_exception(
    rules: str, path: str
) -> None:
    with contextlib.suppress(BadRequest):
        ignored = read_ignore_file(rules)
        if ignored(path) and ignored.wholly(path):
            assert ignored(f"{path}/below")


@given(st.text(alphabet="ab*?/", max_size=9), st.text(alphabet="ab/", max_size=9))
def test_following_signs_and_a_regular_expression_agree(pattern: str, path: str) -> None:
    for read in (glob, ignore):
        found = read(pattern)
        if found._whole is not None:
            slow = Pattern([])
            slow._parts, slow._whole = found._parts, None
            assert slow.fits(path) == found.fits(path)


def test_no_pattern_takes_long() -> None:
    assert not glob("*a" * 40 + "b").fits("a" * 255)
    assert glob("*a" * 40 + "*").fits("a" * 255)
    assert not ignore("**/a" * 40 + "b").fits("a/" * 500)
    assert ignore("**/a" * 40 + "*").fits("a/" * 500 + "a")


def test_a_directory_is_matched_once_however_much_lies_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    fits = Pattern.fits

    def noted(pattern: Pattern, path: str) -> bool:
        asked.append(path)
        return fits(pattern, path)

    monkeypatch.setattr(Pattern, "fits", noted)
    ignored = read_ignore_file("*.md\n!d/d\n")
    depth = 200
    for level in range(depth):
        assert ignored("d/" * level + "file") is False
    assert len(asked) == 2 * (2 * depth - 1)
