"""What ``logs --details`` shows before each line: labels, variables and a tag, chosen by docker's ``--log-opt``.

They are the container's and not a line's, so no log has them: they are found when it is read. Source: moby,
daemon/logger/loginfo.go, loggerutils/log_tag.go and daemon/server/httputils/write_log_stream.go.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from pysup.supervisor.spec import expressions

Json = dict[str, Any]

OPTIONS = ("labels", "labels-regex", "env", "env-regex", "tag")
_FIELD = re.compile(r"\{\{\s*\.([A-Za-z]+)\s*\}\}")
_SHORT = 12
_LONGEST_NAME = 255
"""Of a label or a variable that an expression is looked for in: those of an image may have any length."""
_FIELDS = ("ID", "FullID", "Name", "ImageID", "ImageFullID", "ImageName", "Command", "DaemonName")


def check(options: Mapping[str, str]) -> None:
    """Raise ValueError if one of OPTIONS has a value that means nothing."""
    for name in ("labels-regex", "env-regex"):
        _pattern(name, options.get(name, ""))
    tag = options.get("tag", "")
    unknown = next((name for name in _FIELD.findall(tag) if name not in _FIELDS), None)
    if unknown or "{{" in _FIELD.sub("", tag):
        known = ", ".join("{{." + name + "}}" for name in _FIELDS)
        raise ValueError(f"tag {tag[:64]!r} has more than text and {known}")


def _pattern(name: str, text: str) -> re.Pattern[str]:
    """Python's expressions: what Go has and they have not is told when the container is made."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # [[:alpha:]] is something else here
            pattern = re.compile(text)
            expressions.check(text, _LONGEST_NAME)
            return pattern
    except (re.error, expressions.TooCostly, FutureWarning, OverflowError, RecursionError) as error:
        raise ValueError(f"{name} {text[:64]!r}: {error}") from None


def details(options: Mapping[str, str], config: Json, *, id: str, name: str, image_id: str) -> str:  # noqa: A002
    """``environment=production,tag=web``: sorted, each name and value as in a URL.

    ``config``: docker's Config of the container. Raises ValueError as ``check``.
    """
    labels: dict[str, str] = config.get("Labels") or {}
    variables = dict(entry.split("=", 1) for entry in config.get("Env") or [] if "=" in entry)
    found = _chosen("labels", options, labels) | _chosen("env", options, variables)
    if tag := options.get("tag"):
        found["tag"] = _filled(tag, config, id=id, name=name, image_id=image_id)
    return ",".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in sorted(found.items()))


def _chosen(option: str, options: Mapping[str, str], having: Mapping[str, str]) -> dict[str, str]:
    """By their names, and by an expression that is found anywhere in a name."""
    named, text = options.get(option, "").split(","), options.get(f"{option}-regex", "")
    pattern = _pattern(option, text) if text else None
    return {key: value for key, value in having.items() if key in named or (pattern and _fits(pattern, key))}


def _fits(pattern: re.Pattern[str], name: str) -> bool:
    return len(name) <= _LONGEST_NAME and pattern.search(name) is not None


def _filled(tag: str, config: Json, *, id: str, name: str, image_id: str) -> str:  # noqa: A002
    values = {
        "ID": id[:_SHORT],
        "FullID": id,
        "Name": name,
        "ImageID": image_id.removeprefix("sha256:")[:_SHORT],
        "ImageFullID": image_id,
        "ImageName": str(config.get("Image") or ""),
        "Command": " ".join([*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]),
        "DaemonName": "pysup",
    }
    return _FIELD.sub(lambda match: values[match[1]], tag)
