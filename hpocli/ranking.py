"""Which trials are best: one for a single objective, a Pareto front for several."""

from __future__ import annotations

from collections.abc import Iterable

from hpocli.state import RunState, TrialView


def single_objective(state: RunState) -> bool:
    """Say whether the run has one objective (true as well before its header is known)."""
    return state.header is None or len(state.header.objectives) == 1


def directions(state: RunState) -> tuple[str, ...]:
    """Return `maximize` or `minimize` for each objective."""
    return state.header.directions if state.header else ("maximize",)


def objectives(state: RunState) -> tuple[str, ...]:
    """Return the names of the objectives."""
    return state.header.objectives if state.header else ("value",)


def completed(state: RunState) -> list[TrialView]:
    """Return the trials that completed with all their values, by number."""
    width = len(objectives(state))
    found = [t for t in state.trials.values() if t.status == "completed" and len(t.values) == width]
    return sorted(found, key=lambda t: t.number)


def best_trial(state: RunState) -> TrialView | None:
    """Return the best completed trial of a single-objective run; the earlier one of equals."""
    if not single_objective(state):
        return None
    sign = -1.0 if directions(state)[0] == "maximize" else 1.0
    return min(completed(state), key=lambda t: (sign * t.values[0], t.number), default=None)


def pareto_front(state: RunState) -> list[TrialView]:
    """Return the completed trials that no other one beats in every objective, by number."""
    signs = [-1.0 if d == "maximize" else 1.0 for d in directions(state)]
    costs = [
        (tuple(s * v for s, v in zip(signs, t.values, strict=True)), t) for t in completed(state)
    ]
    front: list[tuple[tuple[float, ...], TrialView]] = []
    for cost, trial in sorted(costs, key=lambda pair: (pair[0], pair[1].number)):
        if not any(_dominates(other, cost) for other, _ in front):
            front.append((cost, trial))
    return sorted((trial for _, trial in front), key=lambda t: t.number)


def _dominates(one: Iterable[float], other: Iterable[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def best_trials(state: RunState) -> list[TrialView]:
    """Return the best trial alone, or the Pareto front where there are several objectives."""
    if not single_objective(state):
        return pareto_front(state)
    best = best_trial(state)
    return [] if best is None else [best]
