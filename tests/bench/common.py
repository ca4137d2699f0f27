"""Taking turns and printing: what all benches share."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

Times = dict[str, list[float]]
"""Seconds, by name."""


def take_turns(subjects: Mapping[str, Callable[[], object]], rounds: int) -> Times:
    """Time each subject once a round, after a round for warming up, so that all see the same machine."""
    times: Times = {name: [] for name in subjects}
    for number in range(-1, rounds):
        for name, once in subjects.items():
            begin = time.perf_counter()
            once()
            if number >= 0:
                times[name].append(time.perf_counter() - begin)
    return times


def command(argv: Sequence[object]) -> Callable[[], object]:
    """A command as a subject; it must succeed."""
    words = [str(word) for word in argv]
    return lambda: call(words)


def call(argv: Sequence[object]) -> str:
    """Run a command that must succeed, and return what it says."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: exit code {done.returncode}\n{done.stderr.decode()}")
    return done.stdout.decode()


def call_silently(argv: Sequence[object]) -> None:
    """Run a command that must succeed, and whose output somebody else goes on holding."""
    words = [str(word) for word in argv]
    nowhere = subprocess.DEVNULL
    code = subprocess.run(words, stdin=nowhere, stdout=nowhere, stderr=nowhere, check=False).returncode
    if code:
        raise SystemExit(f"{' '.join(words)}: exit code {code}")


def report(title: str, times: Times, *, base: str) -> None:
    """Print medians in ms, and the ratio of each to the base's."""
    medians = {name: statistics.median(values) * 1000 for name, values in times.items() if values}
    rows = [
        [name, f"{median:.1f}", f"{_p90(times[name]) * 1000:.1f}", f"{median / medians[base]:.2f}"]
        for name, median in medians.items()
    ]
    table(title, ["", "median ms", "p90", f"x {base}"], rows)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; all columns but the first are numbers."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    print(f"\n## {title}")
    for row in [head, *rows]:
        first, *rest = (
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *rest]).rstrip())


def goal(text: str, ratio: float | None, limit: float, *, at_least: bool = False) -> None:
    """Print whether a figure to reach is reached; ``None``: the peer is not here."""
    if ratio is None:
        print(f"   goal {text}: the peer is not here")
        return
    met = ratio >= limit if at_least else ratio <= limit
    sign = ">=" if at_least else "<="
    print(f"{'ok' if met else 'NO'} goal {text}: {ratio:.2f}, wanted {sign} {limit:g}")


def ratio(times: Times, one: str, other: str) -> float | None:
    """The median of one in units of the other's, if both are here."""
    if not times.get(one) or not times.get(other):
        return None
    return statistics.median(times[one]) / statistics.median(times[other])


def _p90(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.9)] if len(values) > 1 else values[0]
