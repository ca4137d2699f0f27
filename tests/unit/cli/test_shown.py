"""What strangers have a part in, on a terminal and in a pipe."""

from __future__ import annotations

import pytest

from pysup.supervisor.cli.output import shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("größer 漢字", "größer 漢字"),
        ("\x1b[2J\x07\x7f\r", "\\x1b[2J\\x07\\x7f\\r"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\udcff", "\\udcff"),
    ],
)
def test_nothing_is_left_that_a_terminal_obeys(text: str, seen: str) -> None:
    assert shown.visible(text) == seen


def test_a_pipe_gets_what_it_is_and_an_error_is_always_made_visible(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown.write("\x1b[2J\n")
    shown.complain("no \x1b[2J")
    assert capsys.readouterr() == ("\x1b[2J\n", "pysup: no \\x1b[2J\n")
