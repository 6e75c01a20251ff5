"""What the benchmarks share: the table they print, and how busy the machine is."""

from __future__ import annotations

import os
from collections.abc import Sequence


def load_line() -> str:
    """Return the cores and the load of the last minute, which spoils wall time."""
    cores = len(os.sched_getaffinity(0))
    return f"machine: {cores} cores, load {os.getloadavg()[0]:.2f}"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table, ready for docs/benchmarks.md."""
    widths = [max(len(str(row[i])) for row in (columns, *rows)) for i in range(len(columns))]
    for row in (columns, ["-" * width for width in widths], *rows):
        print("| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |")
