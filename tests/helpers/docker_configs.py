"""A config.json of docker's in a directory of its own, for both command lines, and a credential helper."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from .daemon import Daemon

_HELPER = """#!/bin/sh
# Keeps one secret for each server in a file (docker-credential-helpers, protocol).
cd "$(dirname "$0")" || exit 1
read -r input
case $1 in
store) server=$(echo "$input" | sed 's/.*"ServerURL": *"\\([^"]*\\)".*/\\1/'); echo "$input" >"kept-$server" ;;
get) cat "kept-$input" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm -f "kept-$input" ;;
list) echo '{}' ;;
esac
"""


class DockerConfig:
    """``DOCKER_CONFIG`` for docker and pysup."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)
        self._environment = {**os.environ, "DOCKER_CONFIG": str(directory)}

    @property
    def document(self) -> dict[str, Any]:
        """What is in it; {} if there is none."""
        path = self.directory / "config.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def write(self, document: dict[str, Any]) -> None:
        """Begin with this."""
        (self.directory / "config.json").write_text(json.dumps(document))

    def add_helper(self, name: str) -> Path:
        """A program docker-credential-NAME on the PATH; the directory where it keeps its secrets."""
        program = self.directory / f"docker-credential-{name}"
        program.write_text(_HELPER)
        program.chmod(0o755)
        self._environment["PATH"] = f"{self.directory}:{self._environment['PATH']}"
        return self.directory

    def docker(self, daemon: Daemon, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run docker's command line."""
        return self._run(["docker", "-H", f"unix://{daemon.socket}", *arguments], stdin)

    def pysup(self, daemon: Daemon, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run ours."""
        return self._run(daemon.command(*arguments), stdin)

    def _run(self, command: list[str], stdin: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            env=self._environment,
            check=False,
            timeout=120,
        )
