"""`hpo ls`: the runs there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hpocli.clock import isoformat
from hpocli.commands.arguments import Format
from hpocli.commands.loading import load_state, status, write_next, write_out
from hpocli.errors import HpoError
from hpocli.lines import labelled
from hpocli.progress import planned
from hpocli.ranking import best_trial, pareto_front, single_objective
from hpocli.results import trials_csv
from hpocli.runs import RunFolder, list_runs
from hpocli.show import clean, number, run_argument
from hpocli.state import RunState
from hpocli.statuses import ENDED


def print_runs(runs_dir: Path, output: Format) -> None:
    """Print the runs, newest last."""
    rows = [_row(RunFolder(runs_dir / name)) for name in list_runs(runs_dir)]
    if output is Format.JSON:
        write_out(json.dumps(rows, indent=2) + "\n")
    elif output is Format.CSV:
        write_out(trials_csv(rows))
    elif rows:
        _print(rows)
    write_next(_next(runs_dir, rows), data=output is not Format.TABLE)


def _row(folder: RunFolder) -> dict[str, Any]:
    """Return a run as data; one that cannot be read says why instead of stopping the list."""
    try:
        state = load_state(folder)
    except HpoError as error:
        return _facts(folder, RunState(), "unreadable") | {"problem": clean(error.message)}
    return _facts(folder, state, status(folder, state))


def _facts(folder: RunFolder, state: RunState, how: str) -> dict[str, Any]:
    header, best = state.header, best_trial(state)
    return {
        "run": clean(folder.name),
        "status": how,
        "ended": state.count(*ENDED),
        "trials": planned(state),
        "best_value": best.values[0] if best else None,
        "pareto_front": None if single_objective(state) else len(pareto_front(state)),
        "executor": header.executor if header else "",
        "trainer": clean(header.trainer) if header else "",
        "started_at": None if state.started_at is None else isoformat(state.started_at),
        "problem": "",
    }


def _print(rows: list[dict[str, Any]]) -> None:
    from hpocli.commands.tables import print_table  # noqa: PLC0415 - rich takes a while to import

    print_table(
        ("run", "status", "trials", "best", "started", "trainer"),
        [
            (
                row["run"],
                row["status"],
                f"{row['ended']}/{row['trials']}",
                _best(row),
                (row["started_at"] or "-")[:16].replace("T", " "),
                row["trainer"] or row["problem"],
            )
            for row in rows
        ],
        right="trials best",
    )


def _best(row: dict[str, Any]) -> str:
    if row["pareto_front"] is not None:
        return f"{row['pareto_front']} on the front"
    return "-" if row["best_value"] is None else number(row["best_value"])


def _next(runs_dir: Path, rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        text = f"there are no runs in {runs_dir}"
        return [text, labelled("next:", "hpo init   # then: hpo run local sweep.yaml")]
    newest = run_argument(RunFolder(runs_dir / rows[-1]["run"]))
    return [labelled("next:", f"hpo show {newest}")]
