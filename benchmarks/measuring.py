"""What the benchmarks share: processes with their wall and CPU time, tables, how busy it was."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Times(NamedTuple):
    """Seconds of one process: wall time, and CPU (user and system) with that of its children."""

    wall_s: float
    cpu_s: float


def run_python(arguments: Sequence[str], environ: Mapping[str, str]) -> Times:
    """Run this Python with `arguments` to its end; what it prints is dropped.

    Raises SystemExit with its last lines where it fails.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process.stderr as stream:
        said = stream.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        shown = " ".join(arguments)
        raise SystemExit(f"python {shown} ended with {process.returncode}:\n{said[-2000:]}")
    return Times(wall_s, usage.ru_utime + usage.ru_stime)


def compiling(folder: str) -> dict[str, str]:
    """Return the environment in which Python keeps its compiled files in `folder`.

    Where PYTHONPYCACHEPREFIX names a folder already, they go there and serve the next run too.
    """
    environ = {"PYTHONPYCACHEPREFIX": folder, **os.environ}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return environ


def load_line() -> str:
    """Return the cores and the load of the last minute, which spoils wall time."""
    cores = len(os.sched_getaffinity(0))
    return f"machine: {cores} cores, load {os.getloadavg()[0]:.2f}"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table, ready for docs/benchmarks.md."""
    widths = [max(len(str(row[i])) for row in (columns, *rows)) for i in range(len(columns))]
    for row in (columns, ["-" * width for width in widths], *rows):
        print("| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |")
