"""Values of secrets, of ``secret create`` and of run's ``--secret``: read here, and sent once."""

from __future__ import annotations

import base64
import sys
from typing import Any

from pysup.supervisor.cli.flags import UsageError
from pysup.supervisor.errors import BadRequest


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
