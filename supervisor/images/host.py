"""The image that needs no download: the machine's own root, read-only, below a private write layer."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from pysup.supervisor.spec.architecture import go_name

HOST = "host"
"""Its repository name; the tag is latest."""
LAYER = "/"
"""The one lower layer."""
HOST_ID = "sha256:" + hashlib.sha256(b"pysup: the host's own root").hexdigest()
"""Fixed: it is the same image on every machine, although each machine fills it."""
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def architecture() -> str:
    """This machine, as images name it (GOARCH)."""
    return go_name(os.uname().machine)


def host_config() -> dict[str, Any]:
    """The whole image configuration (OCI image-spec, config.md)."""
    return {
        "architecture": architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "comment": "the machine's own root filesystem",
        "config": {"Env": [PATH], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "pysup", "empty_layer": True}],
    }
