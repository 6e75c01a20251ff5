"""When a run will end: an estimate from its state and the time, and from nothing else.

The estimate plays the rest of the run through: trials that run end after what is expected of them,
waiting ones take slots as they become free and last as long as those before them did. So it knows
of pruned trials, of slow ones that have not ended yet, and of slots that stay empty at the end.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Mapping, Sequence
from statistics import fmean, median

from hpocli.state import ENDED, RunState, TrialView

_TELLING = 0.1  # from this fraction on, a running trial tells how long it would take
_FEW = 4  # ended trials from which on the earlier ones are left out
_USUAL = [0.4, 1.0]  # where a pruner is on: counted beside what was seen, as two more trials
_RECENT = 64  # how many of the last trials are asked
_PLAYED = 8  # how often the rest of the run is played through


def remaining_s(state: RunState, now: float) -> float | None:
    """Return the expected seconds to the end, None before anything can be told."""
    header = state.header
    if header is None:
        return None
    running = [t for t in state.open_trials() if t.status == "running"]
    waiting = max(header.trials, len(state.trials)) - state.count(*ENDED) - len(running)
    slots = max(1, min(header.concurrent_workers, state.limit or 1))
    past, finals = _slot_times(state), _final_fractions(state)
    ahead = [_left(trial, now, list(past.values()), finals) for trial in running]
    pairs = [(t, now - (t.started_at or now)) for t in running]
    opened = [s + e for (_, s), e in zip(pairs, ahead, strict=True) if e is not None]
    lengths = _lengths(state, past, finals, pairs, opened)
    if not lengths:
        return None if waiting or running else 0.0
    left = [fmean(lengths) / 2 if seconds is None else seconds for seconds in ahead]
    startup = _startup_s(state, slots)
    return _play(left, [length + startup for length in lengths], waiting, slots)


def _lengths(
    state: RunState,
    past: Mapping[int, float],
    finals: Sequence[float],
    running: Sequence[tuple[TrialView, float]],
    open_lengths: Sequence[float],
) -> list[float]:
    """Return how long a trial that starts now may take: equally likely numbers of seconds.

    Where trials report, the time that all steps would take (which running trials tell too) is
    combined with the fractions at which trials stop; otherwise what the ended ones took.
    """
    whole = [
        past[t.number] / fraction
        for t in state.trials.values()
        if t.number in past and t.status != "failed" and (fraction := fraction_of(t))
    ]
    for trial, spent in running:
        fraction = _midway(trial) or 0.0
        if fraction >= _TELLING:
            whole.append(spent / fraction)
    known = sum(t.status != "failed" for t in state.trials.values() if t.ended)
    if not whole or not finals:
        return [*past.values(), *open_lengths]
    good = [length * final for length in whole[-_RECENT:] for final in finals[-_RECENT:]]
    failed = [past[t.number] for t in state.trials.values() if t.status == "failed"]
    return good + failed * round(len(good) / max(1, known))


def _slot_times(state: RunState) -> dict[int, float]:
    """Return for each trial that ended the seconds it kept workers busy, all attempts together.

    A worker's first trial also pays for imports; that is taken out where `fit_s` tells how much.
    """
    busy: dict[int, float] = {}
    for span in state.spans:
        busy[span.trial] = busy.get(span.trial, 0.0) + span.end - span.start
    cold = _first_of_workers(state)
    ended = [t for t in state.trials.values() if t.ended]
    warm = [
        busy[t.number] - t.fit_s
        for t in ended
        if t.number in busy and t.number not in cold and t.fit_s is not None
    ]
    beside = median(warm) if warm else math.inf
    times = [(t, busy.get(t.number, _queued_s(t))) for t in ended]
    return {
        t.number: min(time, t.fit_s + beside) if t.fit_s is not None and t.number in cold else time
        for t, time in times
    }


def _first_of_workers(state: RunState) -> set[int]:
    """Return the trials that were the first on their worker."""
    first: dict[str, int] = {}
    for trial in state.trials.values():
        if trial.started_at is not None:
            first.setdefault(trial.worker, trial.number)
    return set(first.values())


def _queued_s(trial: TrialView) -> float:
    return max(0.0, (trial.ended_at or 0.0) - (trial.submitted_at or trial.ended_at or 0.0))


def _startup_s(state: RunState, slots: int) -> float:
    """Return the usual seconds from submission to start on a worker that is there already.

    Where every trial meets a new worker, all of them count.
    """
    cold = _first_of_workers(state)
    waits = {
        t.number: t.started_at - t.submitted_at
        for t in state.trials.values()
        if t.started_at is not None and t.submitted_at is not None
    }
    warm = [wait for number, wait in waits.items() if number not in cold]
    if not warm and len(waits) > 2 * slots:
        warm = list(waits.values())
    return max(0.0, median(warm)) if warm else 0.0


def _midway(trial: TrialView) -> float | None:
    """Return the fraction with half a step more: on average, so much came after the last report."""
    fraction = fraction_of(trial)
    if fraction is None or not trial.total_steps:
        return None
    return min(1.0, fraction + 0.5 / trial.total_steps)


def _final_fractions(state: RunState) -> list[float]:
    """Return at which fraction of their steps trials stop now (pruned, or by early stopping).

    A pruner watches some trials first; those before the first pruned one tell nothing of it.
    """
    ended = [t for _, t in sorted(state.trials.items()) if t.ended and t.status != "failed"]
    first = next((i for i, t in enumerate(ended) if t.status == "pruned"), 0)
    ended = ended[first + 1 :] if len(ended) - first > _FEW else ended[first // 2 :]
    found = [f for t in ended if (f := fraction_of(t)) is not None]
    pruning = state.header is not None and state.header.pruner != "none"
    return found + _USUAL if pruning and found else found


def _left(
    trial: TrialView, now: float, past: Sequence[float], finals: Sequence[float]
) -> float | None:
    """Return the expected seconds until a running trial ends, None where nothing tells."""
    spent = max(0.0, now - (trial.started_at or now))
    fraction = _midway(trial)
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


def fraction_of(trial: TrialView) -> float | None:
    """Return which part of its steps the trial has reported, None where it has not said."""
    if trial.step is None or not trial.total_steps:
        return None
    return min(1.0, (trial.step + 1) / trial.total_steps)
