"""``pysup commit``: an image of what a container has written."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from pysup.supervisor.cli.commands.images import split_reference
from pysup.supervisor.cli.connection import connect
from pysup.supervisor.cli.flags import Syntax, many, switch, text

COMMIT = Syntax(
    "commit",
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Create a new image from a container's changes",
    (
        text("author", 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', short="a"),
        many("change", "Apply Dockerfile instruction to the created image", short="c"),
        text("message", "Commit message", short="m"),
        switch("pause", "Pause container during commit", short="p", default=True),
    ),
    1,
    2,
)


def commit(argv: Sequence[str]) -> int:
    """``pysup commit``: prints the image's id."""
    given = COMMIT.parse(argv)
    repository, tag = split_reference(given.words[1]) if len(given.words) > 1 else ("", "")
    query = [
        ("container", given.words[0]),
        ("repo", repository),
        ("tag", tag),
        ("author", given.text("author")),
        ("comment", given.text("message")),
        ("pause", "1" if given.on("pause") else "0"),
        *(("changes", change) for change in given.many("change")),
    ]
    print(connect().post(f"/commit?{urlencode(query)}")["Id"])
    return 0
