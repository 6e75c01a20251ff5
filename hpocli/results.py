"""The results of a run, written into its folder from its folded state.

Every file is replaced in one step, so a reader never sees half of one. Text that came from a
worker is cleaned, and in the CSV made harmless for spreadsheets.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from hpocli.clock import isoformat
from hpocli.progress import elapsed_s, planned
from hpocli.ranking import best_trial, best_trials, directions, objectives, single_objective
from hpocli.runs import RunFolder
from hpocli.show import clean
from hpocli.spi import JsonScalar
from hpocli.state import ENDED, RunState, TrialView

if TYPE_CHECKING:
    from hpocli.config import SweepConfig

MODEL_NAME = "model.keras"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0")


def trial_rows(state: RunState) -> list[dict[str, Any]]:
    """Return one row of JSON data a trial, by number.

    Keys: number, state, value (of a single objective, else None), values (by objective), params,
    duration_s, fit_s, attempts, worker, seed, source, metrics, health, failure, message,
    started_at, ended_at. Numbers are finite or None; texts are clean.
    """
    return [_row(state, trial) for _, trial in sorted(state.trials.items())]


def _row(state: RunState, trial: TrialView) -> dict[str, Any]:
    values = dict(zip(objectives(state), trial.values, strict=False))
    alone = single_objective(state) and trial.values
    return {
        "number": trial.number,
        "state": trial.status,
        "value": trial.values[0] if alone else None,
        "values": values,
        "params": {clean(k): _harmless(v) for k, v in trial.params.items()},
        "duration_s": trial.duration_s,
        "fit_s": trial.fit_s,
        "attempts": trial.attempt + 1,
        "worker": clean(trial.worker),
        "seed": trial.seed,
        "source": trial.source,
        "metrics": {clean(k): v for k, v in trial.metrics.items()},
        "health": {clean(k): v for k, v in trial.health.items()},
        "failure": trial.failure if trial.status == "failed" else "",
        "message": clean(trial.message, 500) if trial.status == "failed" else "",
        "started_at": _moment(trial.started_at),
        "ended_at": _moment(trial.ended_at),
    }


def _harmless(value: JsonScalar) -> JsonScalar:
    return clean(value, 1000) if isinstance(value, str) else value


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else isoformat(seconds)


def trials_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the rows as CSV; no cell starts a formula.

    A mapping becomes columns `params.x`, side by side, in the order of the rows' keys.
    """
    rows = list(rows)
    flat = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    first = [name for name in columns if "." not in name]
    groups = list(dict.fromkeys(name for row in rows for name in row))
    nested = [name for name in columns if "." in name]
    nested.sort(key=lambda name: groups.index(name.partition(".")[0]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_cell(name) for name in first + nested])
    writer.writerows([[_cell(row.get(name)) for name in first + nested] for row in flat])
    return text.getvalue()


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{key}": item for key, item in value.items()}
        else:
            flat[name] = value
    return flat


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def summary(
    folder: RunFolder,
    state: RunState,
    *,
    importances: Mapping[str, float],
    exit_code: int,
    now: float | None = None,
) -> dict[str, Any]:
    """Return the run in numbers, as JSON data.

    now: seconds since the epoch, by default the time of the last event.
    """
    best = best_trial(state)
    header = state.header
    total = planned(state)
    return {
        "run": folder.name,
        "exit_code": exit_code,
        "reason": clean(state.finished.reason, 500) if state.finished else "",
        "objectives": list(objectives(state)),
        "directions": list(directions(state)),
        "best_value": best.values[0] if best else None,
        "best_trial": best.number if best else None,
        "best_params": dict(best.params) if best else None,
        "best_trials": [t.number for t in best_trials(state)],
        "trials": total,
        "counts": {name: state.count(name) for name in ENDED}
        | {"not_run": total - state.count(*ENDED)},
        "elapsed_s": round(elapsed_s(state, (state.last_at or 0.0) if now is None else now), 3),
        "durations_s": _durations(state),
        "started_at": _moment(state.started_at),
        "ended_at": _moment(state.last_at),
        "processes": header.epoch if header else 0,
        "executor": header.executor if header else "",
        "trainer": clean(header.trainer) if header else "",
        "sampler": header.sampler if header else "",
        "pruner": header.pruner if header else "",
        "seed": header.seed if header else None,
        "version": header.version if header else "",
        "importances": dict(importances),
    }


def _durations(state: RunState) -> dict[str, float | None]:
    found = [t.duration_s for t in state.trials.values() if t.duration_s is not None]
    if not found:
        return {"mean": None, "median": None, "shortest": None, "longest": None, "sum": None}
    numbers = {"mean": fmean(found), "median": median(found), "shortest": min(found)}
    numbers |= {"longest": max(found), "sum": sum(found)}
    return {name: round(value, 3) for name, value in numbers.items()}


def best_mapping(folder: RunFolder, state: RunState) -> dict[str, Any]:
    """Return what best.yaml holds: the best trial, or a list under `pareto`."""
    if not single_objective(state):
        return {"run": folder.name, "pareto": [_best(state, t) for t in best_trials(state)]}
    found = best_trials(state)
    return {"run": folder.name, **(_best(state, found[0]) if found else {"trial": None})}


def _best(state: RunState, trial: TrialView) -> dict[str, Any]:
    values = dict(zip(objectives(state), trial.values, strict=False))
    ways = dict(zip(objectives(state), directions(state), strict=False))
    body: dict[str, Any] = {"trial": trial.number, "values": values, "directions": ways}
    body |= {"params": dict(trial.params), "metrics": dict(trial.metrics)}
    if trial.health:
        body["health"] = dict(trial.health)
    return body | {"seed": trial.seed, "duration_s": trial.duration_s}


def write_results(
    folder: RunFolder,
    config: SweepConfig,
    state: RunState,
    *,
    importances: Mapping[str, float],
    exit_code: int,
) -> None:
    """Write trials.csv, best.yaml, summary.json, each ended trial's files and the best model.

    May be called again at any time; the same state gives the same files. Raises OSError where the
    disk takes no more; files are then either old or new, never half.
    """
    import yaml  # noqa: PLC0415 - only a run that ends needs it

    replace_file(folder.root / "trials.csv", trials_csv(trial_rows(state)))
    best = yaml.safe_dump(best_mapping(folder, state), sort_keys=False, allow_unicode=True)
    replace_file(folder.root / "best.yaml", best)
    body = summary(folder, state, importances=importances, exit_code=exit_code)
    replace_file(folder.root / "summary.json", json.dumps(body, indent=2, allow_nan=False) + "\n")
    for trial in state.trials.values():
        if trial.ended:
            _write_trial(folder.trial(trial.number), trial)
    if config.save_best_model:
        keep = [trial.number for trial in best_trials(state)]
        _keep_only(folder, state, keep)


def _write_trial(where: Path, trial: TrialView) -> None:
    """Write what an ended trial got and said; it changes no more, so what is there is right."""
    if (where / "reports.jsonl").exists():
        return
    where.mkdir(parents=True, exist_ok=True)
    replace_file(where / "params.json", json.dumps(dict(trial.params), indent=2) + "\n")
    lines = [json.dumps({"step": step, "value": value}) + "\n" for step, value in trial.curve]
    replace_file(where / "reports.jsonl", "".join(lines))


def replace_file(path: Path, text: str) -> None:
    """Put `text` at `path` in one step: readers see the old file or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def keep_best_model(folder: RunFolder, best: int | None, loser: int | None) -> None:
    """Keep the model of trial `best` as model/best.keras and delete that of trial `loser`.

    For each trial that ended: an improving one is `best` and the one before it the `loser`; any
    other is the `loser`. Missing files are fine; nothing but regular files is touched.
    """
    if best is not None:
        _publish(folder, best)
    if loser is not None and loser != best:
        (folder.trial(loser) / MODEL_NAME).unlink(missing_ok=True)


def _publish(folder: RunFolder, number: int) -> None:
    source, target = folder.trial(number) / MODEL_NAME, folder.model / "best.keras"
    if source.is_symlink() or not source.is_file():
        return
    if target.exists() and target.samefile(source):
        return
    folder.model.mkdir(parents=True, exist_ok=True)
    temporary = folder.model / ".best.keras.new"
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    temporary.replace(target)
    params = folder.model / "trial.json"
    replace_file(params, json.dumps({"trial": number}) + "\n")


def _keep_only(folder: RunFolder, state: RunState, keep: list[int]) -> None:
    """Publish the best model, if the run has one, and delete all that nobody will ask for."""
    for trial in state.trials.values():
        if trial.ended and trial.number not in keep:
            keep_best_model(folder, None, trial.number)
    if keep and single_objective(state):
        _publish(folder, keep[0])
