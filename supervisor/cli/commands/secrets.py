"""``pysup secret create``, ``ls`` and ``rm``."""

from __future__ import annotations

from collections.abc import Sequence

from pysup.supervisor.cli.connection import Client, connect, segment
from pysup.supervisor.cli.each import each
from pysup.supervisor.cli.flags import Syntax, lacking, many, switch
from pysup.supervisor.cli.kinds import LABEL, TEXT
from pysup.supervisor.cli.options import kvfile, secret_values
from pysup.supervisor.cli.output.listing import FORMAT, LABELS, Column, Listing, write

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
    body = {
        "Name": name,
        "Data": secret_values.content(path),
        "Labels": kvfile.mapping((), given.many("label")),
    }
    print(connect().post("/pysup/secrets/create", body)["Name"])
    return 0


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
