"""`hpo best`: the best trial, ready to be used elsewhere."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from hpocli.commands.arguments import BestFormat
from hpocli.commands.loading import open_run, write_next, write_out
from hpocli.errors import StateError
from hpocli.lines import labelled
from hpocli.ranking import best_trials, single_objective
from hpocli.results import best_mapping
from hpocli.runs import RunFolder
from hpocli.show import clean, run_argument
from hpocli.state import RunState, TrialView


def print_best(run: str, runs_dir: Path, output: BestFormat) -> None:
    """Print the best trial's parameters, or those of the whole Pareto front."""
    folder, state = open_run(runs_dir, run)
    found = best_trials(state)
    name = run_argument(folder)
    if not found:
        raise StateError(
            f"no trial of run {clean(folder.name)!r} has completed yet",
            hint=f"see why: hpo trials {name}",
        )
    write_out(_text(folder, state, found, output))
    model = folder.model / "best.keras"
    lines = [labelled("next:", f"hpo show {name}")]
    if model.exists():
        lines.append(labelled("", f"keras.models.load_model({str(model)!r})   # in Python"))
    write_next(lines, data=True)


def _text(folder: RunFolder, state: RunState, found: list[TrialView], output: BestFormat) -> str:
    if output is BestFormat.ARGS:
        alone = single_objective(state)
        named = ("" if alone else f"  # trial {trial.number}" for trial in found)
        return "".join(f"{_arguments(t)}{end}\n" for t, end in zip(found, named, strict=True))
    body = best_mapping(folder, state)
    if output is BestFormat.JSON:
        return json.dumps(body, indent=2, allow_nan=False) + "\n"
    import yaml  # noqa: PLC0415 - only for this format

    return str(yaml.safe_dump(body, sort_keys=False, allow_unicode=True))


def _arguments(trial: TrialView) -> str:
    pairs = ((k, str(v).lower() if isinstance(v, bool) else v) for k, v in trial.params.items())
    return " ".join(shlex.quote(clean(f"--{name}={value}", 2000)) for name, value in pairs)
