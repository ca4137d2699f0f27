"""Lists of things in docker's forms: a table, a template, a table by template, JSON lines, ids only."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pysup.supervisor.cli import flags, kinds
from pysup.supervisor.cli.flags import Flag, Given
from pysup.supervisor.cli.output import shown
from pysup.supervisor.cli.output.table import align, split

if TYPE_CHECKING:
    from pysup.supervisor.cli.output.template import Template

Raw = Mapping[str, Any]

FORMAT = flags.text(
    "format",
    "Format output: 'table' (default), 'table TEMPLATE', 'json', or a Go TEMPLATE such as '{{.ID}}'",
)


class Item(NamedTuple):
    """One thing of the list, and how to show it."""

    raw: Any
    """As the API has it."""
    short: bool
    """Whether long texts are cut (not with --no-trunc)."""


class Column(NamedTuple):
    """One column, or field of a template: what it shows of an item; a method gives a function."""

    header: str
    show: Callable[[Item], Any]


class Row(dict[str, Any]):
    """A row's fields, each made when a template asks for it."""

    def __init__(self, columns: Mapping[str, Column], item: Item) -> None:
        super().__init__()
        self._columns = columns
        self._item = item

    def __missing__(self, name: str) -> Any:
        value = self[name] = self._columns[name].show(self._item)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._columns))

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]  # dict's own type cannot be made
        """What ``{{json .}}`` shows: every field but the methods."""
        made = {name: self[name] for name in self}
        return {name: value for name, value in made.items() if not callable(value)}.items()


class Listing(NamedTuple):
    """What a list command can show."""

    columns: Mapping[str, Column]
    default: tuple[str, ...]
    """The columns of the plain table."""
    quiet: str = "ID"
    raw: str = ""
    """Docker's format ``raw``, a template; without one the word means nothing else than itself."""

    def rows(self, rows: Sequence[Any], *, short: bool) -> list[Row]:
        """As a template sees them."""
        return [Row(self.columns, Item(raw, short)) for raw in rows]

    def text(self, rows: Sequence[Any], form: str = "", *, quiet: bool = False, short: bool = True) -> str:
        """The whole output."""
        shown = self.rows(rows, short=short)
        if form in ("", "table"):
            return self._ids(shown) if quiet else self._table(shown)
        if form == "raw" and self.raw:
            form = self._label_of_quiet() if quiet else self.raw
        return self._templated(shown, form)

    def _ids(self, rows: Sequence[Row]) -> str:
        return "".join(f"{row[self.quiet]}\n" for row in rows)

    def _table(self, rows: Sequence[Row]) -> str:
        header = [self.columns[name].header for name in self.default]
        return align([header, *([str(row[name]) for name in self.default] for row in rows)])

    def _label_of_quiet(self) -> str:
        """The line of ``raw`` that has what ``--quiet`` shows."""
        return next(line for line in self.raw.splitlines() if f".{self.quiet}}}" in line)

    def _templated(self, rows: Sequence[Row], form: str) -> str:
        from pysup.supervisor.cli.output.template import HEADER_FUNCTIONS, Template

        text, table = unescaped("{{json .}}" if form == "json" else form)
        template = parsed(text)
        lines = "".join(template.render(row) + "\n" for row in rows)
        if not rows:
            self._check(template)
        if not table:
            return lines
        headers = {name: column.header for name, column in self.columns.items()} | {"Label": _label_header}
        return align(split(Template(text, HEADER_FUNCTIONS).render(headers) + "\n" + lines))

    def _check(self, template: Template) -> None:
        """Where there are no rows, a field that they would not have is an error all the same. Raises NoField."""
        from pysup.supervisor.cli.output.template import NoField, TemplateError

        try:
            template.render(dict.fromkeys(self.columns, "") | {"Label": _label_header})
        except NoField:
            raise
        except TemplateError:
            return  # it may well fit a real row


def parsed(text: str) -> Template:
    """A template of a list: one that is malformed has the exit code of any other error there, as docker's."""
    from pysup.supervisor.cli.output.template import Malformed, Template, TemplateError

    try:
        return Template(text)
    except Malformed as error:
        raise TemplateError(str(error).removeprefix("cannot format: ")) from None


def _labels(item: Item) -> str:
    return ",".join(sorted(f"{name}={value}" for name, value in (item.raw["Labels"] or {}).items()))


def _label(item: Item) -> Callable[[str], str]:
    return lambda name: str((item.raw["Labels"] or {}).get(name, ""))


def _label_header(name: str) -> str:
    """Docker's: the last part of the label's name, in words."""
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ")


LABELS = {"Labels": Column("LABELS", _labels), "Label": Column("LABEL", _label)}
"""The columns of what has labels."""


def unescaped(form: str) -> tuple[str, bool]:
    r"""A format's template with ``\t`` and ``\n`` made real, and whether ``table`` stood before it."""
    table = form.startswith("table")
    text = form.removeprefix("table").strip(" ")
    return text.replace("\\t", "\t").replace("\\n", "\n"), table


def write(listing: Listing, rows: Sequence[Any], given: Given, *, short: bool = True) -> None:
    """Print a list as the command's ``--format`` and ``--quiet`` say."""
    quiet = "quiet" in given.values and given.on("quiet")
    shown.write(listing.text(rows, given.text("format"), quiet=quiet, short=short))


def filters(given: Given) -> dict[str, list[str]]:
    """``--filter key=value …`` as the API takes it."""
    made: dict[str, list[str]] = {}
    for one in filter(None, given.many("filter")):
        name, _, value = one.partition("=")
        made.setdefault(name.strip().lower(), []).append(value.strip())
    return made


def filter_flag(usage: str = "Filter output based on conditions provided", short: str = "f") -> Flag:
    """``--filter``, repeatable."""
    return Flag("filter", kinds.FILTER, usage, short)
