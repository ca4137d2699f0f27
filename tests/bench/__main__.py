"""Measure pysup against the engines that are installed here, in turns, and print medians and ratios.

Usage: python -m tests.bench [--rounds N] [NAME...]        (as root, from the top of the checkout)

Names: start_exit throughput cpu restart_latency logs memory ps exec images networks traffic; all if none is given.
Figures are worth comparing only within one run. Everything happens in a mount namespace of its own, in a temporary
directory.
"""

from __future__ import annotations

import importlib
import os
import sys

from tests.bench.lab import Lab, enter_namespace

BENCHES = (
    "start_exit",
    "throughput",
    "cpu",
    "restart_latency",
    "logs",
    "memory",
    "ps",
    "exec",
    "images",
    "networks",
    "traffic",
)


def main(words: list[str]) -> int:
    """Run what the words name; 2 for words that are not understood."""
    rounds = 15
    if words[:1] == ["--rounds"] and len(words) > 1 and words[1].isdigit():
        rounds, words = int(words[1]), words[2:]
    if unknown := set(words) - set(BENCHES):
        print(f"{', '.join(sorted(unknown))}: not one of {' '.join(BENCHES)}", file=sys.stderr)
        return 2
    enter_namespace()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with Lab(rounds) as lab:
        print(lab.described())
        for name in words or BENCHES:
            importlib.import_module(f"tests.bench.{name}").measure(lab)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
