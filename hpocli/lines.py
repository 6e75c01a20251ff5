"""The sentences a run is told in: header, one line an event, the state in a line, the end."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hpocli import events as ev
from hpocli.errors import ExitCode
from hpocli.progress import AggregatedProgress, elapsed_s, grid_is_exhausted, planned
from hpocli.ranking import best_trial, objectives, pareto_front, single_objective
from hpocli.runs import RunFolder
from hpocli.show import clean, counted, duration, number, params_line, run_argument
from hpocli.state import ENDED, RunState, TrialView

if TYPE_CHECKING:
    from hpocli.config import SweepConfig

_LABEL = 11
_UNEXPLAINED = (ExitCode.INTERRUPTED, ExitCode.TERMINATED)  # these are not told as an error


def labelled(label: str, text: str) -> str:
    """Return a line of a block: a label in a column of its own, then the text."""
    return f"{label:<{_LABEL}}{text}".rstrip()


def header_lines(header: ev.RunStarted) -> list[str]:
    """Return the block that opens a run, and opens it again on resume."""
    h = header
    pairs = zip(h.directions, h.objectives, strict=False)
    again = f"  (process {h.epoch} of this run)" if h.epoch > 1 else ""
    return [
        labelled("run", f"{clean(h.run)}{again}"),
        labelled("trainer", f"{clean(h.trainer)} on {clean(h.executor)}"),
        labelled("trials", f"{h.trials}, {h.concurrent_workers} at a time"),
        labelled("objective", ", ".join(f"{way} {clean(name, 60)}" for way, name in pairs)),
        labelled("search", f"{h.sampler}, pruner {h.pruner}, seed {h.seed}"),
        "",
    ]


def counts_line(completed: int, running: int, failed: int, pruned: int) -> str:
    """Return `12 done · 3 running · 1 failed · 2 pruned`, zeros left out but for done."""
    parts = [f"{completed} done"]
    named = (("running", running), ("failed", failed), ("pruned", pruned))
    return " · ".join(parts + [f"{count} {name}" for name, count in named if count])


def progress_line(progress: AggregatedProgress) -> str:
    """Return the whole state in a line."""
    p = progress
    ended = p.completed + p.pruned + p.failed
    parts = [f"[{ended}/{p.total}]", counts_line(p.completed, p.running, p.failed, p.pruned)]
    if p.best_value is not None:
        parts.append(f"best {number(p.best_value)} (trial {p.best_trial})")
    parts.append(time_line(p))
    return "  ".join(parts)


def time_line(progress: AggregatedProgress) -> str:
    """Return elapsed time and, where it can be told, what is left."""
    text = f"{duration(progress.elapsed_s)} elapsed"
    return text if progress.eta_s is None else f"{text}, about {duration(progress.eta_s)} left"


def values_text(state: RunState, trial: TrialView) -> str:
    """Return `val_accuracy 0.9833` for each objective of a trial that has values."""
    names = objectives(state)
    pairs = zip(names, trial.values, strict=False)
    return "  ".join(f"{clean(name, 40)} {number(value)}" for name, value in pairs)


def event_line(record: ev.Record, state: RunState, *, brief: bool = False) -> str:
    """Return the line for an event, empty where it does not matter to a person.

    brief: only what must not be missed, for a screen that shows the state already.
    """
    event = record.event
    if isinstance(event, ev.TrialFinished):
        line = _finished_line(event, state)
        return line if not brief or event.state == "failed" else ""
    if isinstance(event, ev.BestImproved):
        return f"best so far: trial {event.trial}  {number(event.value)}"
    if isinstance(event, ev.TrialRetrying):
        if event.failure == "interrupted":
            return f"trial {event.trial} goes back to the queue"
        return f"trial {event.trial} is tried again (attempt {event.attempt + 1}): {event.failure}"
    return _notice(event)


def _notice(event: ev.Event) -> str:
    if isinstance(event, ev.CapacityChanged):
        pause = f", none for {duration(event.paused_s)}" if event.paused_s else ""
        return f"at most {event.limit} trials at a time now{pause}: {clean(event.cause)}"
    if isinstance(event, ev.Warned):
        return f"{notice_label(event.message)}: {clean(event.message, 500)}"
    if isinstance(event, ev.ResultIgnored):
        return f"a late result of trial {event.trial} was set aside: {clean(event.reason)}"
    return ""


def notice_label(message: str) -> str:
    """Return `note` for a price that was asked for, `warning` for all else a run warned of."""
    return "note" if message.startswith("reproducible: slots stood idle") else "warning"


def _finished_line(event: ev.TrialFinished, state: RunState) -> str:
    trial = state.trials.get(event.trial)
    total = planned(state)
    head = f"[{state.count(*ENDED)}/{total}] trial {event.trial} {event.state}"
    if event.state == "failed":
        same = _first_alike(event, state)
        why = clean(event.message) if same is None else f"the same as trial {same}"
        return f"{head}  {event.failure}: {why}"
    if trial is None:
        return head
    took = duration(trial.duration_s) if trial.duration_s is not None else ""
    parts = [head, values_text(state, trial), took, params_line(trial.params)]
    return "  ".join(part for part in parts if part)


def _first_alike(event: ev.TrialFinished, state: RunState) -> int | None:
    """Return the trial that failed in the same words before, if one did."""
    words = (event.failure, event.message)
    failed = (t for t in state.trials.values() if t.status == "failed" and t.number != event.trial)
    return next((t.number for t in failed if (t.failure, t.message) == words), None)


def final_lines(
    state: RunState,
    folder: RunFolder,
    config: SweepConfig | None,
    now: float,
    *,
    live: bool = False,
) -> list[str]:
    """Return the lines a run ends with: how it went, the best, where things are, what next.

    config: None where `hpo show` tells of the run. live: a process works on it at this moment.
    Why a run failed is not among them: that is said once, as its error.
    """
    return [
        *_outcome(state, folder, now, live=live),
        *_best_lines(state),
        *_places(state, folder),
        *next_lines(state, folder, config, live=live),
    ]


def _outcome(state: RunState, folder: RunFolder, now: float, *, live: bool) -> Iterator[str]:
    yield ""
    running = state.count("running") if live else 0
    ended = (state.count(status) for status in ("failed", "pruned"))
    counts = counts_line(state.count("completed"), running, *ended)
    total = planned(state)
    left = total - state.count(*ENDED) - running
    rest = f" · {left} not run" if left else ""
    took = duration(elapsed_s(state, now))
    yield labelled(
        "run", f"{clean(folder.name)}: {counted(total, 'trial')}, {counts}{rest}, in {took}"
    )
    if grid_is_exhausted(state):
        yield labelled("", "the grid is exhausted: every point of it was tried")
    if state.finished and state.finished.exit_code in _UNEXPLAINED:
        yield labelled("ended", clean(state.finished.reason, 500))


def _best_lines(state: RunState) -> Iterator[str]:
    if single_objective(state):
        best = best_trial(state)
        if best is None:
            yield labelled("best", "no trial completed")
        else:
            yield labelled("best", f"trial {best.number}  {values_text(state, best)}")
            yield labelled("", params_line(best.params))
        return
    front = pareto_front(state)
    yield labelled(
        "pareto", f"{counted(len(front), 'trial')} that no other beats in every objective"
    )
    for trial in front[:5]:
        yield labelled("", f"trial {trial.number}  {values_text(state, trial)}")
    if len(front) > 5:
        yield labelled("", f"and {len(front) - 5} more")


def _places(state: RunState, folder: RunFolder) -> Iterator[str]:
    best = ["best.yaml"] if state.count("completed") else []
    names = [*best, "trials.csv", "plots/", "model/best.keras"]
    there = [name for name in names if (folder.root / name).exists()]
    yield labelled("results", f"{folder.root}" + (f"  ({', '.join(there)})" if there else ""))


def next_lines(
    state: RunState, folder: RunFolder, config: SweepConfig | None, *, live: bool = False
) -> list[str]:
    """Return the commands that make sense now, the first one labelled `next`.

    config, live: see `final_lines`.
    """
    run, left = run_argument(folder), unfinished(state)
    commands = [] if state.count("completed") else list(_failed_log(state, folder))
    if left and not live:
        words = "trial is left" if left == 1 else "trials are left"
        commands.append(f"hpo resume {run}   # {left} {words}")
    commands += [f"hpo show {run}"] if config is not None else []
    commands.append(f"hpo trials {run}")
    if state.count("completed"):
        commands.append(f"hpo best {run}")
    if not left and state.count("completed") and not grid_is_exhausted(state):
        more = (config.trials if config else len(state.trials)) * 2
        commands.append(f"hpo resume {run} trials={more}   # search on")
    return [labelled("next:" if i == 0 else "", text) for i, text in enumerate(commands)]


def _failed_log(state: RunState, folder: RunFolder) -> Iterator[str]:
    """Return how to read what the first failed trial printed."""
    failed = sorted(t.number for t in state.trials.values() if t.status == "failed")
    for trial in failed:
        log = folder.trial(trial) / "log.txt"
        if log.exists():
            yield f"less {shlex.quote(str(log))}   # what trial {trial} printed before it failed"
            return


def unfinished(state: RunState) -> int:
    """Return how many of the run's trials have not ended."""
    return planned(state) - state.count(*ENDED)
