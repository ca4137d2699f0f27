"""Debian's docker-registry on the loopback interface of the tests' own network namespace, seeded by skopeo."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from . import own_network
from .images import Image, oci_archive


def free_port() -> int:
    """A port of the loopback interface; nobody else is in the namespace."""
    own_network.enter()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Registry:
    """``with Registry(directory) as registry``: listens when the block begins."""

    def __init__(
        self,
        directory: Path,
        *,
        http: Mapping[str, Any] | None = None,
        auth: Mapping[str, Any] | None = None,
        others: Mapping[str, Any] | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self.port = free_port()
        self.host = f"{address}:{self.port}"
        self.directory = directory
        storage = {"filesystem": {"rootdirectory": str(directory / "storage")}, "delete": {"enabled": True}}
        self._config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "info"},
            "storage": storage,
            "http": {"addr": self.host, **(http or {})},
            **({"auth": auth} if auth else {}),
            **(others or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.log = directory / "registry.log"

    def __enter__(self) -> Registry:
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "config.yml"
        config.write_text(json.dumps(self._config))  # JSON is YAML
        process = subprocess.Popen(
            ["docker-registry", "serve", config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._process = process
        assert process.stdout is not None
        for line in process.stdout:
            if b"listening on" in line:
                # From here on its log goes where nobody has to read it: a full pipe would stop the registry.
                with self.log.open("wb") as log:
                    self._drain = subprocess.Popen(["cat"], stdin=process.stdout, stdout=log)
                process.stdout.close()
                return self
        raise AssertionError("the registry did not start")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._drain.wait()

    # -- content, by skopeo ----------------------------------------------------------------------------------

    def seed(self, name: str, *images: Image, options: Sequence[str] = ()) -> str:
        """Put images there, several as an index; the full name."""
        full = f"{self.host}/{name}"
        with tempfile.TemporaryDirectory() as directory:
            archive = Path(directory) / "archive.tar"
            archive.write_bytes(oci_archive(*images))
            skopeo(
                "copy",
                "--all",
                "--dest-tls-verify=false",
                *options,
                f"oci-archive:{archive}",
                f"docker://{full}",
            )
        return full

    def inspect(self, name: str, *options: str) -> dict[str, Any]:
        """What skopeo finds there."""
        found = skopeo("inspect", "--tls-verify=false", *options, f"docker://{self.host}/{name}")
        document: dict[str, Any] = json.loads(found)
        return document


def skopeo(*arguments: object) -> str:
    """Run skopeo; what it prints."""
    done = subprocess.run(
        ["skopeo", "--insecure-policy", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
