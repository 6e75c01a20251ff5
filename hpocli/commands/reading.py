"""The command lines of ls, show, trials and best.

Only the signatures are here: what reads a run is imported when its command runs, so that
`hpo --help` need not.
"""

from __future__ import annotations

from typing import Annotated

import typer

from hpocli.commands.arguments import RUNS, BestFormat, Format, RunName, RunsDir
from hpocli.statuses import ENDED, OPEN

_Output = Annotated[Format, typer.Option("--format", help="How to print it.")]


def register(app: typer.Typer) -> None:
    """Add ls, show, trials and best."""
    for command in (ls, show, trials, best):
        app.command(command.__name__)(command)


def ls(runs_dir: RunsDir = RUNS, output: _Output = Format.TABLE) -> None:
    """List the runs, newest last."""
    from hpocli.commands.ls import print_runs  # noqa: PLC0415 - keeps --help light

    print_runs(runs_dir, output)


def show(run: RunName, runs_dir: RunsDir = RUNS) -> None:
    """Show one run: how it stands, its best trial, what mattered, what failed, what next."""
    from hpocli.commands.show import print_run  # noqa: PLC0415 - keeps --help light

    print_run(run, runs_dir)


def trials(  # noqa: PLR0917 - the command line gives names
    run: RunName,
    runs_dir: RunsDir = RUNS,
    sort: Annotated[
        str, typer.Option(help="number, state, value, duration_s, a parameter or a metric.")
    ] = "number",
    reverse: Annotated[bool, typer.Option("--reverse", help="Turn the order round.")] = False,
    state: Annotated[
        list[str] | None, typer.Option(help=f"Only these states: {', '.join((*ENDED, *OPEN))}.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Only where this holds, e.g. 'learning_rate<0.01'.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many rows.")] = None,
    output: _Output = Format.TABLE,
) -> None:
    """List the trials of a run. Sorting by value puts the best on top."""
    from hpocli.commands.trials import print_trials  # noqa: PLC0415 - keeps --help light

    print_trials(
        run,
        runs_dir,
        sort=sort,
        reverse=reverse,
        states=state or [],
        where=where or [],
        limit=limit,
        output=output,
    )


def best(
    run: RunName,
    runs_dir: RunsDir = RUNS,
    output: Annotated[BestFormat, typer.Option("--format", help="How to print it.")] = (
        BestFormat.YAML
    ),
) -> None:
    """Print the best trial, or each of the Pareto front, for use elsewhere.

    yaml and json: its number, values, parameters, metrics, seed and duration. args: its parameters
    as --name=value, a line a trial.
    """
    from hpocli.commands.best import print_best  # noqa: PLC0415 - keeps --help light

    print_best(run, runs_dir, output)
