"""What lies below a daemon's images directory, downloads that broke off too, and how to have nothing there again."""

from __future__ import annotations

import json

from .daemon import Daemon
from .storage import stored


def everything(daemon: Daemon) -> list[str]:
    """Every blob and layer, and whatever is on its way: paths below ROOT/images."""
    partials = (daemon.root / "images/partial").iterdir()
    return sorted([*stored(daemon.root), *(f"partial/{path.name}" for path in partials)])


def forget_images(daemon: Daemon) -> None:
    """Remove all images; nothing of them is left on disk."""
    listed = daemon.docker("images", "-a", "--no-trunc", "--format", "json").stdout.splitlines()
    for one in {json.loads(line)["ID"] for line in listed if json.loads(line)["Repository"] != "host"}:
        assert daemon.docker("rmi", "-f", one).stderr == ""
    assert stored(daemon.root) == []
