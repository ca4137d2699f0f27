"""Reading Dockerfiles: lines, directives, here-documents, each instruction, and one line for each way to be wrong."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.build.errors import BadDockerfile
from pysup.supervisor.build.expansion import expanded
from pysup.supervisor.build.instructions import (
    Arg,
    Command,
    Copy,
    Env,
    Expose,
    From,
    Healthcheck,
    Instruction,
    OnBuild,
    Run,
    Text,
)
from pysup.supervisor.build.lexing import read
from pysup.supervisor.build.parsing import parse
from pysup.supervisor.build.stages import plan
from pysup.supervisor.build.words import Lexer

KEYWORDS = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD",
    "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip


def instruction(text: str) -> Any:
    found = read(text)
    return parse(found.lines[0], found.lexer)


def _exec(*words: str) -> Command:
    return Command(words=words, shell=False)


def _shell(*words: str) -> Command:
    return Command(words=words, shell=True)  # noqa: S604 - docker's word for a form


def test_lines_are_joined_and_comments_left_out() -> None:
    found = read("# a comment\nFROM a\n\nRUN one \\\n  # in between\n  two \\  \n three\n  run four\r\n")
    assert [(line.number, line.keyword, line.rest) for line in found.lines] == [
        (2, "FROM", "a"),
        (4, "RUN", "one   two  three"),
        (8, "RUN", "four"),
    ]
    assert found.warnings == ()
    assert read("RUN a \\\n\n b").warnings[0].startswith("Empty continuation line")


def test_an_escaped_escape_continues_nothing() -> None:
    assert [line.rest for line in read("RUN a \\\\\nRUN b").lines] == ["a \\\\", "b"]


def test_directives() -> None:
    found = read("# syntax=docker/dockerfile:1\n# escape=`\nRUN dir C:\\ `\n  x")
    assert found.lines[0].rest == "dir C:\\   x"
    assert read("# a comment first\n# escape=`\nRUN a `\nRUN b").lexer == Lexer()
    for text, cause in (("# escape=x\nRUN a", "invalid escape"), ("#escape=`\n#escape=`\nRUN a", "only one")):
        with pytest.raises(BadDockerfile, match=cause):
            read(text)


def test_here_documents() -> None:
    run = instruction("RUN cat <<EOF > /a && cat <<-'B' > /b\n  $x\nEOF\n\tone\n\tB\nRUN c")
    assert [(one.name, one.text, one.expand) for one in run.heredocs] == [
        ("EOF", "  $x\n", True),
        ("B", "one\n", False),
    ]
    copy = instruction("COPY <<one.txt a <<two.txt /d/\nhello $x\none.txt\ntwo.txt\n")
    assert copy.sources == ("a",)
    filled = expanded(copy, {"x": "you"}, Lexer())
    assert isinstance(filled, Copy)
    assert [(one.name, one.content) for one in filled.contents] == [
        ("one.txt", "hello you\n"),
        ("two.txt", ""),
    ]
    assert instruction("RUN echo $((1 << 2)) '<<no'").heredocs == ()
    with pytest.raises(BadDockerfile, match="unterminated heredoc"):
        read("RUN <<EOF\necho")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "FROM --platform=linux/amd64 a:1 AS Build",
            {"base": "a:1", "name": "build", "platform": "linux/amd64"},
        ),
        ("ARG a b=c d='e f'", {"args": (("a", None), ("b", "c"), ("d", "'e f'"))}),
        ("ENV a b  c", {"pairs": (("a", "b  c"),)}),
        ('ENV a="b c" d=e\\ f', {"pairs": (("a", '"b c"'), ("d", "e\\ f"))}),
        ('RUN ["a", "b"]', {"command": _exec("a", "b")}),
        ("RUN [ -f a ]", {"command": _shell("[ -f a ]")}),
        ("CMD", {"command": _shell()}),
        ("COPY --from=b --chown=1:2 --chmod=755 x y /z", {"origin": "b", "chown": "1:2", "chmod": "755"}),
        ('ADD ["a b", "/c d"]', {"sources": ("a b",), "target": "/c d", "add": True}),
        ("EXPOSE 90 80/udp", {"ports": ("80/udp", "90")}),
        ('VOLUME ["/a", "/b c"]', {"paths": ("/a", "/b c")}),
        ('SHELL ["bash", "-c"]', {"words": ("bash", "-c")}),
        ("user  me", {"value": "me", "keyword": "USER"}),
        ("ONBUILD  COPY a b", {"trigger": "COPY a b"}),
        ("HEALTHCHECK NONE", {"check": {"Test": ["NONE"]}}),
        (
            "HEALTHCHECK --interval=5s --retries=3 CMD curl x",
            {"check": {"Test": ["CMD-SHELL", "curl x"], "Interval": 5 * 10**9, "Retries": 3}},
        ),
    ],
)
def test_every_instruction(text: str, expected: dict[str, object]) -> None:
    found = instruction(text)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("FROM", "line 1: FROM requires either one or three"),
        ("FROM a b", "one or three"),
        ("FROM a AS 1x", "invalid name for build stage"),
        ("NOPE x", "unknown instruction: NOPE"),
        ("RUN --mount=type=cache,target=/c x", "--mount option requires BuildKit"),
        ("COPY --link a b", "--link option requires BuildKit"),
        ("COPY --nope=1 a b", "unknown flag: --nope"),
        ("COPY --chown a b", "missing a value"),
        ("COPY a", "at least two arguments"),
        ("COPY a <<EOF\nEOF", "cannot accept a heredoc"),
        ("RUN", "at least one argument"),
        ("ENV a", "must have two arguments"),
        ("ENV a=b c", "can't find = in 'c'"),
        ("ENV =b", "names can not be blank"),
        ("SHELL bash -c", "in JSON form"),
        ("RUN [1]", "only string type"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD"),
        ("ONBUILD FROM x", "FROM isn't allowed"),
        ("ONBUILD NOPE", "unknown instruction"),
        ("HEALTHCHECK TCP 80", "Unknown type"),
        ("HEALTHCHECK --interval=1us CMD x", "less than 1ms"),
        ("HEALTHCHECK CMD", "Missing command"),
        ("USER", "exactly one argument"),
        ("VOLUME []", "at least one argument"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, cause: str) -> None:
    with pytest.raises(BadDockerfile, match=cause):
        instruction(text)


@given(st.sampled_from(KEYWORDS), st.text(alphabet="ab =\"'\\[],<-$:{}\n1/", max_size=40))
def test_any_arguments_are_taken_or_refused(keyword: str, rest: str) -> None:
    with contextlib.suppress(BadDockerfile):
        for line in read(f"{keyword} {rest}").lines:
            found = expanded(parse(line, Lexer()), {"a": "b"}, Lexer())
            assert isinstance(found, Instruction) and found.line == line.number


# -- stages --------------------------------------------------------------------------------------------------

STAGES = "ARG v=1\nFROM a:$v AS one\nRUN x\nFROM b\nENV c=d\nFROM one AS last\n"


def test_stages_and_the_steps_in_them() -> None:
    found = plan(read(STAGES), labels={"l": "$1"})
    assert [(stage.begin.base, stage.begin.name) for stage in found.stages] == [
        ("a:$v", "one"), ("b", ""), ("one", "last"),
    ]  # fmt: skip
    assert isinstance(found.arguments[0], Arg)
    assert found.count == 7
    (label,) = found.stages[-1].steps
    assert expanded(label, {}, Lexer()) == label, "a label of the command line is taken as it is"


@pytest.mark.parametrize(("target", "count"), [("", 3), ("one", 1), ("ONE", 1), ("1", 2), ("last", 3)])
def test_a_target_ends_the_build(target: str, count: int) -> None:
    assert len(plan(read(STAGES), target).stages) == count


@pytest.mark.parametrize(
    ("text", "target", "cause"),
    [
        ("RUN x", "", "no build stage"),
        ("ARG a", "", "no build stage"),
        (STAGES, "nope", "target stage 'nope' could not be found"),
        (STAGES, "7", "could not be found"),
        ("FROM a AS b\nFROM c AS b", "", "b stage name already used"),
        ("", "", "no instructions"),
        ("# nothing", "", "no instructions"),
        ("FROM a\n" + "ENV a=b\n" * 5000, "", "line 5001: there are more than 5000"),
    ],
)
def test_what_is_no_plan(text: str, target: str, cause: str) -> None:
    with pytest.raises(BadDockerfile, match=cause):
        plan(read(text), target)


def test_which_parts_are_expanded() -> None:
    env = {"p": "80 443", "d": "/data"}

    def of(text: str) -> Any:
        return expanded(instruction(text), env, Lexer())

    assert isinstance(found := of("EXPOSE $p"), Expose) and found.ports == ("80", "443")
    assert isinstance(found := of("ENV a=$d b='$d'"), Env) and found.pairs == (("a", "/data"), ("b", "$d"))
    assert isinstance(found := of("WORKDIR $d"), Text) and found.value == "/data"
    assert isinstance(found := of("RUN echo $d"), Run) and found.command.words == ("echo $d",)
    assert isinstance(found := of("ONBUILD RUN $d"), OnBuild) and found.trigger == "RUN $d"
    assert isinstance(found := of("HEALTHCHECK CMD $d"), Healthcheck) and found.check["Test"][1] == "$d"
    assert isinstance(found := of("FROM $d"), From) and found.base == "$d", (
        "only ARG before FROM counts there"
    )
