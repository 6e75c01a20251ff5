"""`hpo show`: one run on one page."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpocli.clock import SystemClock
from hpocli.commands.loading import open_run, status, write_out
from hpocli.lines import (
    counts_line,
    final_lines,
    header_lines,
    labelled,
    notice_label,
    progress_line,
)
from hpocli.progress import TrialProgress, aggregate
from hpocli.ranking import best_trials
from hpocli.runs import RunFolder
from hpocli.show import clean, duration, number, step_word
from hpocli.state import RunState


def print_run(run: str, runs_dir: Path) -> None:
    """Print one run: how it stands, its best trial, what mattered, what failed, what next."""
    folder, state = open_run(runs_dir, run)
    how = status(folder, state)
    lines = [*_head(state, how), *_body(folder, state)]
    write_out(
        "\n".join(
            lines + final_lines(state, folder, None, state.last_at or 0.0, live=how == "running")
        )
        + "\n"
    )


def _head(state: RunState, how: str) -> Iterator[str]:
    if state.header is not None:
        yield from header_lines(state.header)[1:-1]
    if how == "running":
        progress = aggregate(state, SystemClock().time())
        yield labelled("status", "running")
        yield labelled("", progress_line(progress))
        word = step_word(state.header.trainer if state.header else "")
        for trial in progress.trials:
            yield labelled("", _running(trial, word))
    else:
        completed, failed, pruned = (state.count(s) for s in ("completed", "failed", "pruned"))
        counts = counts_line(completed, 0, failed, pruned)
        gone = "; its process ended without saying so" if how == "killed" else ""
        yield labelled("status", f"{how}{gone}  ({counts})")
        if state.finished is not None and state.finished.exit_code:
            yield labelled("", clean(state.finished.reason, 500))


def _running(trial: TrialProgress, word: str) -> str:
    parts = [f"trial {trial.number} on {clean(trial.worker, 40)}"]
    if trial.step is not None:
        parts.append(f"{word} {trial.step + 1}/{trial.total_steps or '?'}")
    return "  ".join([*parts, clean(trial.stage, 40)])


def _body(folder: RunFolder, state: RunState) -> Iterator[str]:
    spent = [t.duration_s for t in state.trials.values() if t.duration_s is not None]
    if spent:
        middle = sorted(spent)[len(spent) // 2]
        text = f"a trial takes {duration(middle)} (median), {duration(max(spent))} at most"
        yield labelled("time", text)
    for label, numbers in (("matters", _importances(folder)), ("health", _health(state))):
        if numbers:
            text = "  ".join(f"{clean(name, 40)} {number(value)}" for name, value in numbers)
            yield labelled(label, text)
    failures = Counter(
        (t.failure, clean(t.message, 160)) for t in state.trials.values() if t.status == "failed"
    )
    for (failure, message), count in failures.most_common(5):
        yield labelled("failed", f"{count} × {clean(failure, 20)}: {message}")  # noqa: RUF001 - a count
    for warning in dict.fromkeys(state.warnings[-5:]):
        yield labelled(notice_label(warning), clean(warning, 300))


def _importances(folder: RunFolder) -> list[tuple[str, float]]:
    """Return the most important parameters from summary.json, none where there is no such file."""
    try:
        raw: Any = json.loads((folder.root / "summary.json").read_text(encoding="utf-8"))
        found = raw["importances"].items()
        numbers = [(str(k), float(v)) for k, v in found if math.isfinite(float(v))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    return sorted(numbers, key=lambda pair: -pair[1])[:6]


def _health(state: RunState) -> list[tuple[str, float]]:
    found = best_trials(state)
    return list(found[0].health.items()) if len(found) == 1 else []
