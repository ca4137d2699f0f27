"""``pysup secret create``, ``ls`` and ``rm``, and ``--secret`` of run: a value is read here and sent once."""

from __future__ import annotations

import base64
import sys
from collections.abc import Sequence
from typing import Any

from pysup.supervisor.cli import kvfile
from pysup.supervisor.cli.connection import Client, connect, segment
from pysup.supervisor.cli.flags import Syntax, UsageError, lacking, many, switch
from pysup.supervisor.cli.kinds import LABEL, TEXT
from pysup.supervisor.cli.lifecycle import each
from pysup.supervisor.cli.listing import FORMAT, LABELS, Column, Listing, write
from pysup.supervisor.errors import BadRequest

CREATE = Syntax(
    "secret create",
    "[OPTIONS] SECRET FILE|-",
    "Create a secret from a file or STDIN as content",
    (
        many("label", "Secret labels", short="l", kind=LABEL),
        lacking("driver", TEXT, "Secret driver", "pysup keeps secrets itself"),
        lacking("template-driver", TEXT, "Template driver", "a secret is what it is"),
    ),
    2,
    2,
)
LS = Syntax(
    "secret ls",
    "[OPTIONS]",
    "List secrets",
    (FORMAT, switch("quiet", "Only display names", short="q")),
)
RM = Syntax("secret rm", "SECRET [SECRET...]", "Remove one or more secrets", (), 1, None)


def create(argv: Sequence[str]) -> int:
    """``pysup secret create``: prints the name."""
    given = CREATE.parse(argv)
    name, path = given.words
    body = {"Name": name, "Data": content(path), "Labels": kvfile.mapping((), given.many("label"))}
    print(connect().post("/pysup/secrets/create", body)["Name"])
    return 0


def content(path: str) -> str:
    """What is in a file, or comes by standard input (``-``), as JSON can hold it. Raises BadRequest."""
    from pysup.supervisor.spec.secrets import LARGEST

    try:
        if path == "-":
            value = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with open(path, "rb") as file:
                value = file.read(LARGEST + 1)
    except OSError as error:
        raise BadRequest(f"cannot read the secret {path}: {error.strerror}") from error
    if not 0 < len(value) <= LARGEST:
        raise BadRequest(f"cannot use the secret {path}: its value must have 1 to {LARGEST} bytes")
    return base64.b64encode(value).decode()


def entry(text: str) -> dict[str, Any]:
    """An entry of HostConfig.Pysup.Secrets. Raises ValueError for the grammar, UsageError for the file."""
    from pysup.supervisor.spec.secrets import parse_secret

    asked = parse_secret(text)
    try:
        return {**asked.entry, "Data": content(asked.file)} if asked.file else asked.entry
    except BadRequest as error:
        raise UsageError(str(error)) from None


def ls(argv: Sequence[str]) -> int:
    """``pysup secret ls``."""
    given = LS.parse(argv)
    write(SECRETS, connect().get("/pysup/secrets"), given)
    return 0


def rm(argv: Sequence[str]) -> int:
    """``pysup secret rm``: prints each name."""

    def action(client: Client, name: str) -> str:
        client.delete(f"/pysup/secrets/{segment(name)}")
        return name

    return each(RM.parse(argv).words, action)


SECRETS = Listing(
    {
        "Name": Column("NAME", lambda one: one.raw["Name"]),
        "CreatedAt": Column("CREATED", lambda one: one.raw["CreatedAt"]),
        **LABELS,
        "UsedBy": Column("USED BY", lambda one: ",".join(user[:12] for user in one.raw["UsedBy"])),
    },
    ("Name", "CreatedAt", "UsedBy"),
    quiet="Name",
)
