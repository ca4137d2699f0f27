"""An exec row as GET /exec/{id}/json shows it."""

from __future__ import annotations

import json
from typing import Any

from pysup.store.execs import Exec


def inspect_exec(row: Exec) -> dict[str, Any]:
    """The document; ExitCode is null until the process has ended."""
    body = json.loads(row.process)
    words = body.get("Cmd") or [""]
    argv = [words] if isinstance(words, str) else words
    return {
        "ID": row.id,
        "Running": row.state == "running",
        "ExitCode": row.exit_code,
        "ProcessConfig": {
            "tty": bool(body.get("Tty")),
            "entrypoint": argv[0],
            "arguments": argv[1:],
            "privileged": bool(body.get("Privileged")),
            **({"user": body["User"]} if body.get("User") else {}),
        },
        "OpenStdin": bool(body.get("AttachStdin")),
        "OpenStderr": bool(body.get("AttachStderr")),
        "OpenStdout": bool(body.get("AttachStdout")),
        "CanRemove": False,
        "ContainerID": row.container_id,
        "DetachKeys": body.get("DetachKeys") or "",
        "Pid": row.pid,
    }
