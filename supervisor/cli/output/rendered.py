"""Documents of the API as text: JSON, or what a template makes of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def rendered(found: Sequence[Any], form: str) -> str:
    """An array, indented or in one line (``json``), or a template's output each."""
    if form in {"", "json"}:
        indent, separators = (4, None) if not form else (None, (",", ":"))
        return json.dumps(found, indent=indent, separators=separators, ensure_ascii=False) + "\n"
    return _through(form, found)


def rendered_alone(document: Any, form: str) -> str:
    """A document that is no list's: in one line (``json``), or a template's output."""
    return _through("{{json .}}" if form == "json" else form, [document])


def _through(form: str, found: Sequence[Any]) -> str:
    from pysup.supervisor.cli.output.template import Template
    from pysup.supervisor.cli.output.zero_values import with_zeros

    template = Template(form)
    return "".join(template.render(with_zeros(one)) + "\n" for one in found)
