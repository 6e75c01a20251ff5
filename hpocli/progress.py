"""How far a run is: pure functions of its state and the time."""

from __future__ import annotations

from dataclasses import dataclass

from hpocli.estimate import fraction_of, remaining_s
from hpocli.ranking import best_trial
from hpocli.state import ENDED, RunState, TrialView


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialProgress:
    """How far one trial is. `fraction` is in [0, 1], None where its length is not known.

    step: the last reported step, 0-based. value: the last reported or final value.
    elapsed_s: seconds since its worker began, or its whole duration once it ended.
    """

    number: int
    status: str
    worker: str
    stage: str
    step: int | None
    total_steps: int | None
    fraction: float | None
    value: float | None
    elapsed_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregatedProgress:
    """How far the run is. The five counts add up to `total`, which is fixed.

    done: the fraction of trials that ended. eta_s: seconds to the end, None where nothing tells.
    best_value, best_trial: of a single-objective run. limit: trials allowed in flight now.
    """

    total: int
    running: int
    completed: int
    pruned: int
    failed: int
    waiting: int
    done: float
    elapsed_s: float
    eta_s: float | None
    best_value: float | None
    best_trial: int | None
    slots: int
    limit: int
    trials: tuple[TrialProgress, ...]


def trial_progress(trial: TrialView, now: float) -> TrialProgress:
    """Return how far `trial` is at `now` (seconds since the epoch)."""
    value = trial.values[0] if trial.values else trial.curve[-1][1] if trial.curve else None
    end = trial.ended_at if trial.ended else now
    started = trial.started_at
    return TrialProgress(
        number=trial.number,
        status=trial.status,
        worker=trial.worker,
        stage="stopping" if trial.cancelling else trial.stage,
        step=trial.step,
        total_steps=trial.total_steps,
        fraction=1.0 if trial.ended else fraction_of(trial),
        value=value,
        elapsed_s=None if started is None or end is None else max(0.0, end - started),
    )


def aggregate(state: RunState, now: float) -> AggregatedProgress:
    """Return how far the run is at `now` (seconds since the epoch)."""
    header, best = state.header, best_trial(state)
    total = planned(state)
    ended = state.count(*ENDED)
    running = [t for t in state.open_trials() if t.status == "running"]
    slots = max(1, header.concurrent_workers if header else 1)
    limit = slots if state.limit is None else min(slots, state.limit)
    return AggregatedProgress(
        total=total,
        running=len(running),
        completed=state.count("completed"),
        pruned=state.count("pruned"),
        failed=state.count("failed"),
        waiting=total - ended - len(running),
        done=ended / total if total else 0.0,
        elapsed_s=elapsed_s(state, now),
        eta_s=None if state.finished else remaining_s(state, now),
        best_value=best.values[0] if best else None,
        best_trial=best.number if best else None,
        slots=slots,
        limit=limit,
        trials=tuple(trial_progress(t, now) for t in running),
    )


def planned(state: RunState) -> int:
    """Return how many trials the run has in all; one that ended well has those that there are.

    A grid may be exhausted long before `trials` is reached.
    """
    if state.header is None or (state.finished is not None and state.finished.exit_code == 0):
        return len(state.trials)
    return max(state.header.trials, len(state.trials))


def grid_is_exhausted(state: RunState) -> bool:
    """Say whether the run ended because its grid has no more points than were tried."""
    header = state.header
    return header is not None and header.sampler == "grid" and planned(state) < header.trials


def elapsed_s(state: RunState, now: float) -> float:
    """Return how long processes have worked on the run, pauses between them left out."""
    if state.finished or state.resumed_at is None:
        return state.previous_elapsed_s
    return state.previous_elapsed_s + max(0.0, now - state.resumed_at)
