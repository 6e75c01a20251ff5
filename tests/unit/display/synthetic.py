"""Builds the records of a made-up run: slots, epochs, pruned and failed trials, several workers."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass
from typing import Any

from hpocli import events as ev

START = 1_800_000_000.0


@dataclass
class Sweep:
    """What the run looks like. sigma: spread of durations; startup: trials before any is pruned."""

    trials: int = 20
    slots: int = 2
    epochs: int = 10
    mean_s: float = 10.0
    sigma: float = 0.4
    pruned: float = 0.0
    failed: float = 0.0
    startup: int = 5
    cold_s: float = 3.0
    objectives: tuple[str, ...] = ("val_accuracy",)
    directions: tuple[str, ...] = ("maximize",)
    seed: int = 0
    reports: bool = True


def header(sweep: Sweep, run: str = "made-up") -> ev.RunStarted:
    return ev.RunStarted(
        run=run,
        uid="u1",
        epoch=1,
        executor="local",
        trials=sweep.trials,
        concurrent_workers=sweep.slots,
        objectives=sweep.objectives,
        directions=sweep.directions,
        trainer="keras-image",
        sampler="tpe",
        pruner="median",
        seed=sweep.seed,
        version="0",
        pid=1,
        host="h",
    )


def params_of(draw: random.Random) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        "learning_rate": 10 ** draw.uniform(-4, -1),
        "optimizer": draw.choice(["adam", "sgd", "rmsprop"]),
        "conv_layers": draw.randint(1, 4),
        "batch_size": draw.choice([16, 32, 64, 128]),
        "batch_normalization": draw.random() < 0.5,
        "dropout": draw.uniform(0, 0.5),
    }
    if chosen["optimizer"] == "sgd":
        chosen["momentum"] = draw.uniform(0, 0.99)
    return chosen


def score(params: dict[str, Any], epoch: float) -> float:
    quality = 0.97 - 0.06 * abs(math.log10(params["learning_rate"]) + 2.7) ** 1.5
    return max(0.1, quality + 0.004 * params["conv_layers"]) * (1 - 0.8 * math.exp(-epoch / 2))


def run_events(sweep: Sweep) -> list[tuple[float, ev.Event]]:
    """Return (seconds since the start, event) in order; the run is complete."""
    draw = random.Random(sweep.seed)
    found: list[tuple[float, int, ev.Event]] = []

    def put(at: float, event: ev.Event) -> None:
        found.append((at, len(found), event))

    put(0.0, header(sweep))
    free = [(0.0, slot) for slot in range(sweep.slots)]
    used: set[int] = set()
    last = 0.0
    for number in range(sweep.trials):
        at, slot = heapq.heappop(free)
        end = _trial(sweep, draw, put, number, at, slot, 0.0 if slot in used else sweep.cold_s)
        used.add(slot)
        heapq.heappush(free, (end, slot))
        last = max(last, end)
    put(last, ev.RunFinished(exit_code=0, reason="all trials are done", elapsed_s=last))
    return [(at, event) for at, _, event in sorted(found, key=lambda item: item[:2])]


def _trial(sweep, draw, put, number, at, slot, cold) -> float:  # noqa: PLR0917 - one caller
    params = params_of(draw)
    length = sweep.mean_s * draw.lognormvariate(-(sweep.sigma**2) / 2, sweep.sigma)
    put(at, ev.TrialCreated(trial=number, params=params, seed=number))
    put(at, ev.TrialSubmitting(trial=number, attempt=0, key=f"u1/{number}/0", executor="local"))
    put(at, ev.TrialSubmitted(trial=number, attempt=0, ref=f"r{number}"))
    start = at + cold + 0.01
    put(start, ev.TrialStarted(trial=number, attempt=0, worker=f"w{slot}"))
    put(start, ev.TrialStage(trial=number, attempt=0, stage="training"))
    epochs = sweep.epochs
    state = "completed"
    if number >= sweep.startup and draw.random() < sweep.pruned:
        epochs, state = draw.randint(1, max(1, sweep.epochs - 1)), "pruned"
    if draw.random() < sweep.failed:
        epochs, state = max(1, epochs // 3), "failed"
    per = length / sweep.epochs
    value = 0.0
    for step in range(epochs):
        value = score(params, step + 1) + draw.gauss(0, 0.004)
        if sweep.reports:
            event = ev.TrialReported(
                trial=number, attempt=0, step=step, value=value, total_steps=sweep.epochs
            )
            put(start + per * (step + 1), event)
    end = start + per * epochs + 0.02
    numbers = (value, *(length * (0.5 + draw.random()) for _ in sweep.objectives[1:]))
    ended = state == "completed"
    bad = {"failure": "user", "message": "ValueError: shapes (3,) and (4,) do not fit"}
    put(
        end,
        ev.AttemptEnded(
            trial=number,
            attempt=0,
            state=state,
            metrics=dict(zip(sweep.objectives, numbers, strict=True)) if ended else {},
            health={"overall": 0.8, "gradient_health": 0.9} if ended else {},
            duration_s=end - start,
            fit_s=end - start - 0.01,
            worker=f"w{slot}",
            **(bad if state == "failed" else {}),
        ),
    )
    put(
        end,
        ev.TrialFinished(
            trial=number,
            state=state,
            values=numbers if ended else (),
            **(bad if state == "failed" else {}),
        ),
    )
    return end


def records(sweep: Sweep, until: float | None = None) -> list[ev.Record]:
    """Return the run's records up to `until` seconds after its start."""
    timed = [item for item in run_events(sweep) if until is None or item[0] <= until]
    return [ev.Record(seq=i + 1, ts=START + at, event=e) for i, (at, e) in enumerate(timed)]
