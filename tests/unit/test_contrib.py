"""The files of contrib/ that people copy: systemd and datasette would take them as they are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pysup.store.database import open_or_create
from pysup.store.tables import TABLES
from pysup.store.views import VIEWS

CONTRIB = Path(__file__).parents[2] / "contrib"
DATASETTE = json.loads((CONTRIB / "datasette.json").read_text())["databases"]["pysup"]
UNIT = (CONTRIB / "pysup.service").read_text()


def test_datasette_describes_every_view_as_the_store_does() -> None:
    told = {
        name: table["description"] for name, table in DATASETTE["tables"].items() if "description" in table
    }
    assert told == {view.name: view.about for view in VIEWS}
    assert set(DATASETTE["tables"]) <= {*told, *TABLES}


def test_datasette_s_queries_and_columns_exist(tmp_path: Path) -> None:
    conn = open_or_create(str(tmp_path / "pysup.db"))
    for query in DATASETTE["queries"].values():
        conn.execute(query["sql"], {"name": "web"}).fetchall()
    for name, table in DATASETTE["tables"].items():
        columns = {row[1] for row in conn.execute(f"PRAGMA table_info({name})")}
        named = [*table.get("facets", []), table.get("label_column"), table.get("sort_desc")]
        assert {column for column in named if column} <= columns
    conn.close()


def test_the_unit_keeps_containers_out_of_systemd_s_hands() -> None:
    lines = [line for line in UNIT.splitlines() if line and not line.startswith(("#", "["))]
    settings = dict(line.split("=", 1) for line in lines)
    assert settings["Type"] == "notify"
    assert settings["KillMode"] == "process"
    assert settings["Delegate"] == "yes"
    assert settings["ExecReload"] == settings["ExecStart"] + " --upgrade"
    assert int(settings["OOMScoreAdjust"]) < 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="asks systemd")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "pysup.service"
    unit.write_text(UNIT.replace("/usr/local/bin/pysup", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
