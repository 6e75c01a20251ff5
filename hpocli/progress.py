"""How far a run is and when it will end: pure functions of the run's state and the time.

The estimate plays the rest of the run through: trials that run end after what is expected of them,
waiting ones take slots as they become free and last as long as those before them did. So it knows
of pruned trials, of slow ones that have not ended yet, and of slots that stay empty at the end.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from hpocli.ranking import best_trial
from hpocli.state import ENDED, RunState, TrialView

_PLAYED = 8  # how often the rest of the run is played through


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
        fraction=1.0 if trial.ended else _fraction(trial),
        value=value,
        elapsed_s=None if started is None or end is None else max(0.0, end - started),
    )


def aggregate(state: RunState, now: float) -> AggregatedProgress:
    """Return how far the run is at `now` (seconds since the epoch)."""
    header, best = state.header, best_trial(state)
    total = max(header.trials if header else 0, len(state.trials))
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


def elapsed_s(state: RunState, now: float) -> float:
    """Return how long processes have worked on the run, pauses between them left out."""
    if state.finished or state.resumed_at is None:
        return state.previous_elapsed_s
    return state.previous_elapsed_s + max(0.0, now - state.resumed_at)


def remaining_s(state: RunState, now: float) -> float | None:
    """Return the expected seconds to the end, None before anything can be told."""
    header = state.header
    if header is None:
        return None
    open_trials = state.open_trials()
    running = [t for t in open_trials if t.status == "running"]
    waiting = max(header.trials, len(state.trials)) - state.count(*ENDED) - len(running)
    slots = max(1, min(header.concurrent_workers, state.limit or 1))
    past = _slot_times(state)
    ahead = [_left(trial, now, past, _final_fractions(state)) for trial in running]
    known = [(left, now - (t.started_at or now)) for left, t in zip(ahead, running, strict=True)]
    totals = past + [left + spent for left, spent in known if left is not None]
    if not totals:
        return 0.0 if not waiting and not running else None
    left_now = [fmean(totals) / 2 if left is None else left for left in ahead]
    startup = _startup_s(state)
    return _play(left_now, [t + startup for t in totals], waiting, slots)


def _slot_times(state: RunState) -> list[float]:
    """Return for each trial that ended the seconds it kept workers busy, all attempts together."""
    busy: dict[int, float] = {}
    for span in state.spans:
        busy[span.trial] = busy.get(span.trial, 0.0) + span.end - span.start
    ended = [t for t in state.trials.values() if t.ended]
    return [busy[t.number] if t.number in busy else _queued_s(t) for t in ended]


def _queued_s(trial: TrialView) -> float:
    return max(0.0, (trial.ended_at or 0.0) - (trial.submitted_at or trial.ended_at or 0.0))


def _startup_s(state: RunState) -> float:
    """Return the usual seconds from submission to start; a first, cold start does not count."""
    waits = [
        t.started_at - t.submitted_at
        for t in state.trials.values()
        if t.started_at is not None and t.submitted_at is not None
    ]
    return max(0.0, median(waits)) if waits else 0.0


def _fraction(trial: TrialView) -> float | None:
    if trial.step is None or not trial.total_steps:
        return None
    return min(1.0, (trial.step + 1) / trial.total_steps)


def _final_fractions(state: RunState) -> list[float]:
    """Return at which fraction of their steps the ended trials stopped (pruned, early stopping)."""
    found = [_fraction(t) for t in state.trials.values() if t.ended and t.status != "failed"]
    return [f for f in found if f is not None]


def _left(
    trial: TrialView, now: float, past: Sequence[float], finals: Sequence[float]
) -> float | None:
    """Return the expected seconds until a running trial ends, None where nothing tells."""
    spent = max(0.0, now - (trial.started_at or now))
    fraction = _fraction(trial)
    if fraction:
        later = [f for f in finals if f > fraction]
        return spent / fraction * max(0.0, (fmean(later) if later else 1.0) - fraction)
    longer = [t - spent for t in past if t > spent]
    if longer:
        return fmean(longer)
    return spent / 2 if past else None


def _play(left: Sequence[float], lengths: Sequence[float], waiting: int, slots: int) -> float:
    """Return the mean time at which the last of `waiting` trials ends on `slots` slots.

    Only the end is played trial by trial; what lies before it fills all slots evenly.
    """
    if not waiting:
        return max(left, default=0.0)
    played = min(waiting, 6 * slots)
    before = (waiting - played) * fmean(lengths) / slots
    draw = random.Random(0)  # noqa: S311 - a fixed stream, so that the estimate does not flicker
    ends = []
    for _ in range(_PLAYED):
        free = sorted(left)[:slots] + [0.0] * (slots - len(left))
        heapq.heapify(free)
        last = max(left, default=0.0)
        for _ in range(played):
            end = heapq.heappop(free) + draw.choice(lengths)
            heapq.heappush(free, end)
            last = max(last, end)
        ends.append(last)
    return before + fmean(ends)
