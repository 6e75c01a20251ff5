"""How long `hpo --help` takes, against Python itself, Typer's import and Optuna's command line.

    python benchmarks/help_time.py [--quick]

The commands take turns, so that a busy machine slows all of them alike; each figure is a median.
Compiled files go to a folder of this benchmark's own and are there before anything is measured.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence

from measuring import Times, compiling, load_line, print_table, run_python

TARGET_S = 0.25
COMMANDS: dict[str, Sequence[str]] = {
    "hpo --help": ("-m", "hpocli", "--help"),
    "hpo run local --help": ("-m", "hpocli", "run", "local", "--help"),
    "python -c pass": ("-c", "pass"),
    "python -c 'import typer'": ("-c", "import typer"),
    "python -c 'import optuna'": ("-c", "import optuna"),
    "optuna --version": ("-c", "import sys; from optuna.cli import main; main()", "--version"),
}


def measure(repetitions: int) -> dict[str, Times]:
    """Return the median times of each command."""
    runs: dict[str, list[Times]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        environ = compiling(folder)
        for arguments in COMMANDS.values():
            run_python(arguments, environ)
        for _ in range(repetitions):
            for name, arguments in COMMANDS.items():
                runs[name].append(run_python(arguments, environ))
    return {
        name: Times(
            statistics.median(t.wall_s for t in some), statistics.median(t.cpu_s for t in some)
        )
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
