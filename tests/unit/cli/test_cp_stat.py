"""What is at a path of a container: a HEAD tells it; only a failure that needs words costs a GET."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from pysup.supervisor.cli.commands import cp
from pysup.supervisor.cli.connection import Client
from pysup.supervisor.errors import NotFound, PysupError

FOUND = {"name": "x", "mode": 0o644}


class Answering:
    """Answers each request with the next of these; an exception is raised. As a client and as its answer."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    @contextmanager
    def exchange(self, verb: str, path: str, *, query: dict[str, str]) -> Iterator[Answering]:
        self.asked.append(f"{verb} {path} {query['path']}")
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer
        yield self

    def header(self, _name: str) -> str:
        return base64.b64encode(json.dumps(FOUND).encode()).decode()

    def stat(self) -> Any:
        return cp._stat(cast("Client", self), "web", "/x")


HEAD, GET = "HEAD /containers/web/archive /x", "GET /containers/web/archive /x"


@pytest.mark.parametrize(
    ("answers", "asked"), [([None], [HEAD]), ([PysupError("no words"), None], [HEAD, GET])]
)
def test_what_is_there(answers: list[Exception | None], asked: list[str]) -> None:
    client = Answering(*answers)
    assert client.stat() == FOUND
    assert client.asked == asked


@pytest.mark.parametrize(
    ("answers", "asked", "words"),
    [
        ([NotFound("nothing there")], [HEAD], "nothing there"),
        ([PysupError("no words"), PysupError("it is paused")], [HEAD, GET], "it is paused"),
    ],
)
def test_why_it_cannot_be_told(answers: list[Exception | None], asked: list[str], words: str) -> None:
    client = Answering(*answers)
    with pytest.raises(PysupError, match=words):
        client.stat()
    assert client.asked == asked
