"""Directories deeper than a path can be, made by a container, in its write layer and in a volume: nobody else minds.

The daemon counts, removes and looks through what is there; it has a stack and descriptors that end.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from helpers.images import Image, busybox, docker_archive, layer
from helpers.mortal import until

from pysup.supervisor.runtime import trees

pytestmark = pytest.mark.kernel

PYTHON = "/usr/bin/python3"
DIG = """
import os
for top in ("/srv/deep", "/v/deep"):
    os.mkdir(top)
    os.chdir(top)
    for _ in range(6000):
        os.mkdir("d")
        os.mkdir("other")
        os.chdir("d")
    open("found", "w").write("x" * 1000000)
"""
CHURN = "while :; do mkdir -p /srv/a/b; echo x > /srv/a/b/c; mv /srv/a /srv/x; rm -r /srv/x; done"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Nothing deep is left there: pytest's own way to remove it has no bound on recursion."""
    yield tmp_path
    trees.remove(str(tmp_path / "root"))


def test_what_a_container_has_made(place: Path) -> None:
    """Counted while another one makes and removes files all the time; gone when the containers are."""
    with Daemon(place) as daemon:
        words = ("--network", "none", "--name", "deep", "-v", "deep:/v", "host", PYTHON, "-c", DIG)
        daemon.pysup("run", *words, check=True)
        daemon.pysup(
            "run", "-d", "--network", "none", "--name", "busy", "host", "sh", "-c", CHURN, check=True
        )
        for _ in range(5):
            shown = daemon.pysup("ps", "-a", "-s", "--format", "{{.Names}} {{.Size}}", check=True).stdout
            sizes = dict(line.split()[:2] for line in shown.splitlines())
            assert sizes["deep"].endswith("MB") and float(sizes["deep"].removesuffix("MB")) > 25
        used = daemon.pysup("system", "df", "-v", check=True).stdout
        assert "deep" in used and "internal" not in used
        assert "File name too long" in daemon.pysup("diff", "deep").stderr
        daemon.pysup("rm", "-f", "deep", "busy", check=True)
        daemon.pysup("volume", "rm", "deep", check=True)
        until(lambda: not any((daemon.root / "trash").iterdir()), "what was removed to be unlinked")
    log = (place / "daemon.log").read_text()
    assert "cannot remove" not in log and "Traceback" not in log


def test_what_an_image_has(place: Path) -> None:
    """As deep as an archive can say it; a layer that is there already is counted."""
    deep = "/".join("d" * 1500)
    files = layer((f"{deep}/f", {}, b"x"))
    with Daemon(place) as daemon:
        for name in ("deep:1", "deep:2"):
            image = Image([busybox(), files], {"Cmd": ["sh"], "WorkingDir": f"/{deep}/w"}, [name])
            daemon.pysup("load", "-q", stdin=docker_archive(image), check=True)
        wanted = Image([busybox()], {"Cmd": ["pwd"], "WorkingDir": f"/{deep}"}, ["wanted:1"])
        daemon.pysup("load", "-q", stdin=docker_archive(wanted), check=True)
        told = daemon.pysup("run", "--rm", "--network", "none", "wanted:1")
        assert told.returncode == 126 and "no more than 200 directories in each other" in told.stderr
        daemon.pysup("rmi", "deep:1", "deep:2", "wanted:1", check=True)
    assert "Traceback" not in (place / "daemon.log").read_text()
