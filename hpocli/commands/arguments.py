"""The arguments that the reading commands share; light, for `hpo --help` reads it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's name, a unique prefix of it, or `latest`.")
]
RunsDir = Annotated[
    Path, typer.Option("--runs-dir", envvar="HPO_RUNS_DIR", help="Where run folders are.")
]
RUNS = Path("runs")


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class BestFormat(StrEnum):
    """How the best trial is printed; `args` is `--name=value`, a line for each trial."""

    YAML = "yaml"
    JSON = "json"
    ARGS = "args"
