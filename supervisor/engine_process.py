"""The program that the keeper starts as its engine: takes over first, and only then loads the engine itself."""

from __future__ import annotations

import sys

from pysup.supervisor.keeper.client.inheritance import inherit

if __name__ == "__main__":
    inherited = inherit()
    from pysup.supervisor.daemon import main

    sys.exit(main(inherited))
