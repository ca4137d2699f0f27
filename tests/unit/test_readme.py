"""What the README says of the store and of the commands is so."""

from __future__ import annotations

import re
from pathlib import Path

from pysup.store.tables import TABLES
from pysup.store.views import VIEWS
from pysup.supervisor.cli.catalogue import COMMANDS, GROUPS

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_every_view_is_listed_as_it_describes_itself() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", README, re.MULTILINE))
    assert {view.name: view.about for view in VIEWS}.items() <= listed.items()
    assert all(f"`{name}`" in README for name in TABLES)


def test_every_command_that_is_shown_exists() -> None:
    shown = set(re.findall(r"^ {4}(?:\.venv/bin/)?pysup ([a-z]+)", README, re.MULTILINE))
    assert shown <= {*COMMANDS, *GROUPS}
