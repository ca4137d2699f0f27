"""``python -m tests.surface``: what a default container sees, here and in docker and podman where they are installed.

Everything happens in mount and network namespaces of its own. Lists what only one of two shows.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.surface import engines

INSIDE = "PYSUP_SURFACE_INSIDE"
_UNIFIED = "/sys/fs/cgroup/unified"


def main(arguments: list[str]) -> int:
    """``--golden`` writes the file that the test compares with."""
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        unshare = ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c"]
        hide = f'ip link set lo up; mountpoint -q {_UNIFIED} && umount -l {_UNIFIED}; exec "$@"'
        os.execvp("unshare", [*unshare, hide, "sh", sys.executable, *sys.orig_argv[1:]])  # noqa: S606
    ours = _of(engines.pysup)
    if arguments == ["--golden"]:
        engines.GOLDEN.write_text(json.dumps(ours, indent=1) + "\n")
        return 0
    print(json.dumps(ours, indent=1))
    for name in engines.installed():
        _, engine, options = engines.OTHERS[name]
        theirs = _of(engine, *options)
        for title, lines in (
            ("only pysup's container has", engines.flat(ours) - engines.flat(theirs)),
            (f"only {name}'s container has", engines.flat(theirs) - engines.flat(ours)),
        ):
            print(f"\n== {title}")
            print("\n".join(sorted(lines)))
    return 0


def _of(engine: engines.Engine, *options: str) -> engines.Surface:
    temporary = tempfile.TemporaryDirectory(prefix="pysup-surface-", ignore_cleanup_errors=True)
    with temporary as place, engine(Path(place)) as words:
        return engines.probed(words, *options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
