"""Contexts of builds, made by hand, and what a build tells."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from helpers.daemon import Daemon

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import PysupError


def context(dockerfile: str, *members: tarfile.TarInfo | tuple[str, str]) -> bytes:
    """A context with a Dockerfile, files by name and content, and whatever else."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in (("Dockerfile", dockerfile), *members):
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid, info.gid = len(content.encode()), 0o644, 1234, 1234
            tar.addfile(info, io.BytesIO(content.encode()))
    return buffer.getvalue()


def entry(name: str, kind: bytes, target: str = "", mode: int = 0o755) -> tarfile.TarInfo:
    """A link, a directory, …"""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    return info


@dataclass
class Told:
    """What came of a build."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""
    """The last line, or the whole answer where nothing had been told before."""
    code: int = 0

    @property
    def text(self) -> str:
        return "".join(line.get("stream", "") for line in self.lines)

    @property
    def ids(self) -> list[str]:
        """The images of stages."""
        return [line["aux"]["ID"] for line in self.lines if "aux" in line]

    @property
    def cached(self) -> int:
        """How many steps were found in the cache."""
        return self.text.count(" ---> Using cache\n")


def build(daemon: Daemon, archive: bytes, **query: object) -> Told:
    """POST /build to its end."""
    told = Told()
    words = urlencode(query, doseq=True)
    try:
        with contextlib.closing(Client(f"unix://{daemon.socket}")) as client:
            for line in client.stream_json("POST", f"/build?{words}", body=iter([archive])):
                told.lines.append(line)
    except PysupError as error:
        told.error = str(error)
    if told.lines and "error" in told.lines[-1]:
        told.error = told.lines[-1]["error"]
        told.code = told.lines[-1]["errorDetail"].get("code", 0)
    return told


def built(daemon: Daemon, archive: bytes, **query: object) -> Told:
    """A build that must succeed."""
    told = build(daemon, archive, **query)
    assert told.error == "", told.text + told.error
    return told


def of_image(daemon: Daemon, name: str, script: str) -> str:
    """What a shell says in a container of an image."""
    done = daemon.docker("run", "--rm", "--network", "none", "--entrypoint", "sh", name, "-c", script)
    assert done.returncode == 0, done.stderr
    return done.stdout


def config_of(daemon: Daemon, name: str) -> dict[str, Any]:
    """Its inner config."""
    found: dict[str, Any] = json.loads(daemon.docker("image", "inspect", name).stdout)[0]["Config"]
    return found
