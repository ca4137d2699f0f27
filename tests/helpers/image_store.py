"""What lies below a daemon's images directory, and how to have nothing there again."""

from __future__ import annotations

import json

from .daemon import Daemon


def everything(daemon: Daemon) -> list[str]:
    """Every blob and layer, and whatever is on its way."""
    images = daemon.root / "images"
    return sorted(
        str(path.relative_to(images))
        for kind in ("blobs/sha256", "layers", "tmp", "partial")
        for path in (images / kind).iterdir()
    )


def stored(daemon: Daemon) -> list[str]:
    """Without the beginnings of blobs, which the next pull goes on with."""
    return [path for path in everything(daemon) if not path.startswith("partial/")]


def forget_images(daemon: Daemon) -> None:
    """Remove all images; nothing of them is left on disk."""
    listed = daemon.docker("images", "-a", "--no-trunc", "--format", "json").stdout.splitlines()
    for one in {json.loads(line)["ID"] for line in listed if json.loads(line)["Repository"] != "host"}:
        assert daemon.docker("rmi", "-f", one).stderr == ""
    assert stored(daemon) == []
