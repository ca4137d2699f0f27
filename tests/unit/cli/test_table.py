"""Tables against what Go's tabwriter prints for docker."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.cli.output.listing import Column, Listing
from pysup.supervisor.cli.output.table import align, split

CELLS = st.text(st.characters(categories=["L", "N", "P"]), max_size=20)


def test_docker_ps_without_containers() -> None:
    header = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert align([header]) == "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"


def test_a_column_is_as_wide_as_its_widest_cell_and_three() -> None:
    assert align([["A", "B"], ["long enough", "x"]]) == "A             B\nlong enough   x\n"


def test_a_shorter_row_ends_the_blocks_of_the_columns_that_it_lacks() -> None:
    rows = [["wide wide wide", "a", "b"], ["end"], ["x", "y", "z"]]
    assert align(rows) == "wide wide wide   a         b\nend\nx         y         z\n"


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1))
def test_columns_begin_at_the_same_place_in_every_line(rows: list[list[str]]) -> None:
    lines = align(rows).splitlines()
    widths = [max(10, *(len(row[at]) + 3 for row in rows)) for at in range(2)]
    for row, line in zip(rows, lines, strict=True):
        assert line == row[0].ljust(widths[0]) + row[1].ljust(widths[1]) + row[2]


def test_split_is_what_a_template_makes() -> None:
    assert split("a\tb\nc\td\n") == [["a", "b"], ["c", "d"]]


THINGS = Listing(
    {
        "ID": Column("THING ID", lambda one: one.raw["id"][:3] if one.short else one.raw["id"]),
        "Name": Column("NAME", lambda one: one.raw["name"]),
        "Label": Column("LABEL", lambda one: lambda name: one.raw["labels"].get(name, "")),
    },
    ("ID", "Name"),
)
ROWS = [{"id": "abcdef", "name": "web", "labels": {"a": "1"}}, {"id": "ghijkl", "name": "db", "labels": {}}]


def test_every_form_of_a_list() -> None:
    assert THINGS.text(ROWS) == "THING ID   NAME\nabc        web\nghi        db\n"
    assert THINGS.text(ROWS, "table") == THINGS.text(ROWS)
    assert THINGS.text(ROWS, short=False).splitlines()[1] == "abcdef     web"
    assert THINGS.text(ROWS, quiet=True) == "abc\nghi\n"
    assert THINGS.text(ROWS, "json") == '{"ID":"abc","Name":"web"}\n{"ID":"ghi","Name":"db"}\n'
    assert THINGS.text(ROWS, '{{.Name}} {{.Label "a"}}') == "web 1\ndb \n"
    assert THINGS.text(ROWS, r"{{.ID}}\t{{.Name}}") == "abc\tweb\nghi\tdb\n"
    assert (
        THINGS.text(ROWS, r"table {{.Name}}\t{{upper .ID}}")
        == "NAME      THING ID\nweb       ABC\ndb        GHI\n"
    )
    assert THINGS.text([], "{{.Name}}") == ""
