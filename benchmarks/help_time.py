"""How long `hpo --help` takes, against Python itself, Typer's import and Optuna's command line.

    python benchmarks/help_time.py [--quick]

The commands take turns, so that a busy machine slows all of them alike; each figure is a median.
Compiled files go to a folder of this benchmark's own and are there before anything is measured.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

from measuring import load_line, print_table

TARGET_S = 0.25
COMMANDS: dict[str, Sequence[str]] = {
    "hpo --help": ("-m", "hpocli", "--help"),
    "hpo run local --help": ("-m", "hpocli", "run", "local", "--help"),
    "python -c pass": ("-c", "pass"),
    "python -c 'import typer'": ("-c", "import typer"),
    "python -c 'import optuna'": ("-c", "import optuna"),
    "optuna --version": ("-c", "import sys; from optuna.cli import main; main()", "--version"),
}


def once(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[float, float]:
    """Return the wall and the CPU seconds (user and system) of one Python process."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"python {' '.join(arguments)} ended with {process.returncode}")
    return wall_s, usage.ru_utime + usage.ru_stime


def measure(repetitions: int) -> dict[str, tuple[float, float]]:
    """Return the median wall and CPU seconds of each command."""
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as compiled:
        environ = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        for arguments in COMMANDS.values():
            once(arguments, environ)
        for _ in range(repetitions):
            for name, arguments in COMMANDS.items():
                runs[name].append(once(arguments, environ))
    return {
        name: (statistics.median(w for w, _ in some), statistics.median(c for _, c in some))
        for name, some in runs.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 repetitions instead of 11")
    repetitions = 3 if parser.parse_args().quick else 11
    print(load_line())
    figures = measure(repetitions)
    wall_s, cpu_s = figures["hpo --help"]
    print_table(
        ("command", "wall s", "CPU s", "hpo --help takes, by CPU"),
        [
            (name, f"{wall:.3f}", f"{cpu:.3f}", f"{cpu_s / cpu:.2f} x")
            for name, (wall, cpu) in figures.items()
        ],
    )
    verdict = "met" if wall_s <= TARGET_S else "not met"
    print(
        f"\nmedian of {repetitions}; target {TARGET_S} s for hpo --help: {verdict} ({wall_s:.3f} s)"
    )
    print(load_line())


if __name__ == "__main__":
    main()
