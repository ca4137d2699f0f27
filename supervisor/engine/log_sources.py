"""Where a container's log is, and how it is to be shown: from its row alone, so a removed one's, too."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from pysup.store.containers import Container
from pysup.supervisor.errors import NotSupported, PysupError
from pysup.supervisor.logs import files
from pysup.supervisor.logs.feed import Feed
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.documents import NO_LOG
from pysup.supervisor.spec.log_details import details


class LogSource(NamedTuple):
    """Where a container's log is, and whether more will come."""

    directory: str
    tty: bool
    feed: Feed | None
    """None for a container at rest, for a removed one, and where nobody waits for more."""
    details: str
    """What --details shows before each line."""


def log_source(settings: Settings, row: Container, feed: Feed | None) -> LogSource:
    """Raises NotSupported if the container keeps no log, PysupError if it cannot be opened: before an answer begins,
    which clients would ask for again and again if it was broken off.
    """
    config, driver = json.loads(row.config), (json.loads(row.host_config) or {}).get("LogConfig") or {}
    if driver.get("Type") == NO_LOG:
        raise NotSupported(
            f"cannot read the logs of container {row.name}: configured logging driver does not support reading"
        )
    directory = os.path.join(settings.container_dir(row.id), "logs")
    try:
        files.check_directory(directory)
    except OSError as error:
        raise PysupError(f"cannot open the log of container {row.name}: {error.strerror}") from error
    return LogSource(
        directory,
        bool(config.get("Tty")),
        feed,
        details(driver.get("Config") or {}, config, id=row.id, name=row.name, image_id=row.image_id),
    )
