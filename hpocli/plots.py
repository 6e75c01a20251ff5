"""The plots of a run as PNG files, drawn from its state; matplotlib is needed only here.

A plot that cannot be drawn costs a warning, never the sweep.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpocli.ranking import best_trials, completed, directions, objectives, single_objective
from hpocli.runs import RunFolder
from hpocli.show import clean, step_word
from hpocli.state import RunState

if TYPE_CHECKING:
    from hpocli.config import SweepConfig

Draw = Callable[[], Any]
_LARGEST_FILE = 8 << 20


def make_plots(
    folder: RunFolder, config: SweepConfig, state: RunState, importances: Mapping[str, float]
) -> list[str]:
    """Write plots/*.png and return warnings, one sentence each; never raises.

    `plot_generation` none draws nothing; best draws the run and its best trial; all draws the
    training curves of every trial as well.
    """
    if config.plot_generation == "none" or not state.trials:
        return []
    try:
        import matplotlib as mpl  # noqa: F401, PLC0415 - an extra
    except ImportError:
        return ["no plots: matplotlib is not installed; pip install 'hpocli[plots]' brings it"]
    try:
        folder.plots.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return [f"no plots: {error.strerror}"]
    logs = {p.name for p in config.space.params if getattr(p, "log", False)}
    wanted = [*_of_run(state, importances, logs), *_of_best(folder, state)]
    if config.plot_generation == "all":
        wanted += _of_each(folder, state)
    return [warning for name, draw in wanted if (warning := _save(folder.plots / name, draw))]


def _save(path: Path, draw: Draw) -> str:
    """Draw one file in one step; return a warning where that failed."""
    from matplotlib import rc_context  # noqa: PLC0415 - an extra

    from hpocli.figures import STYLE  # noqa: PLC0415 - needs matplotlib

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    try:
        with rc_context(STYLE):
            figure = draw()
            figure.savefig(temporary, format="png")
        temporary.replace(path)
    except Exception as error:  # noqa: BLE001 - a plot must not break the sweep
        temporary.unlink(missing_ok=True)
        return f"plot {path.name} could not be drawn: {clean(error)}"
    return ""


def _of_run(
    state: RunState, importances: Mapping[str, float], logs: Collection[str]
) -> Iterator[tuple[str, Draw]]:
    from hpocli import figures  # noqa: PLC0415 - needs matplotlib

    finite = {k: v for k, v in importances.items() if math.isfinite(v)}
    yield "timeline.png", partial(figures.timeline, state)
    if not completed(state):
        return
    yield "optimization_history.png", partial(figures.history, state)
    yield "parallel_coordinates.png", partial(figures.parallel_coordinates, state, logs)
    yield "slice.png", partial(figures.slices, state, logs)
    if finite:
        yield "importances.png", partial(figures.importance_bars, finite)
    if not single_objective(state):
        yield "pareto.png", partial(figures.pareto, state)


def _of_best(folder: RunFolder, state: RunState) -> Iterator[tuple[str, Draw]]:
    from hpocli import trial_figures  # noqa: PLC0415 - needs matplotlib

    word = _step_word(state)
    sign = 1.0 if directions(state)[0] == "maximize" else -1.0
    ranked = sorted(best_trials(state), key=lambda t: -sign * t.values[0])
    for trial in ranked[:1]:
        where = folder.trial(trial.number)
        title = f"trial {trial.number} (best {clean(objectives(state)[0], 40)})"
        curves = _curves(where / "history.json") or {"reported": [v for _, v in trial.curve]}
        if any(curves.values()):
            yield "training_curves.png", partial(trial_figures.training_curves, curves, title, word)
        found = _confusion(where / "confusion.json")
        if found:
            yield "confusion_matrix.png", partial(trial_figures.confusion, *found, title)


def _of_each(folder: RunFolder, state: RunState) -> Iterator[tuple[str, Draw]]:
    from hpocli import trial_figures  # noqa: PLC0415 - needs matplotlib

    word = _step_word(state)
    for number, trial in sorted(state.trials.items()):
        curves = _curves(folder.trial(number) / "history.json")
        curves = curves or {"reported": [value for _, value in trial.curve]}
        if trial.ended and any(curves.values()):
            title = f"trial {number} ({trial.status})"
            name = f"trials/training_curves_{number:04d}.png"
            yield name, partial(trial_figures.training_curves, curves, title, word)


def _step_word(state: RunState) -> str:
    return step_word(state.header.trainer if state.header else "")


def _read(path: Path) -> Any:
    """Return the JSON a trial left, None where there is nothing usable."""
    try:
        if path.is_symlink() or path.stat().st_size > _LARGEST_FILE:
            return None
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _curves(path: Path) -> dict[str, list[float]]:
    raw = _read(path)
    if not isinstance(raw, dict):
        return {}
    found = {
        clean(name, 40): [_number(v) for v in values]
        for name, values in list(raw.items())[:24]
        if isinstance(values, list)
    }
    return {name: values for name, values in found.items() if any(map(math.isfinite, values))}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _confusion(path: Path) -> tuple[list[str], list[list[float]]] | None:
    raw = _read(path)
    if not isinstance(raw, dict) or not isinstance(raw.get("matrix"), list):
        return None
    rows = [row for row in raw["matrix"] if isinstance(row, list)]
    if not rows or any(len(row) != len(rows) for row in rows):
        return None
    labels = raw.get("labels")
    names = labels if isinstance(labels, list) and len(labels) == len(rows) else range(len(rows))
    return [clean(name, 24) for name in names], [[_number(v) for v in row] for row in rows]
