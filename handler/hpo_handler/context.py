"""What a trainer is given and what it may return: the trial context. Standard library only.

A trainer is any callable that takes a `TrialContext`. It reports as it goes, looks at
`should_stop()` now and then, and returns its objectives (a built-in trainer returns an `Outcome`).
"""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, SupportsFloat, SupportsIndex

MAX_STEP = 2**53
MAX_METRICS = 1000

JsonScalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a built-in trainer returns.

    metrics: every objective by name, and whatever else was measured. health: numbers in [0, 1].
    fit_s: seconds spent in training itself. artifacts: names of files in `workdir`.
    """

    metrics: Mapping[str, float]
    health: Mapping[str, float] = field(default_factory=dict)
    fit_s: float | None = None
    artifacts: tuple[str, ...] = ()
    info: Mapping[str, JsonScalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One checked report: `step` from 0 and growing, the first objective's `value`, all finite."""

    step: int
    value: float
    total_steps: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


class TrialStopped(Exception):  # noqa: N818 - says what happened, not what went wrong
    """A trainer raises this to end early: cancelled if a stop was asked for, else pruned."""


class TrialDiverged(Exception):  # noqa: N818 - same reason
    """A reported value is NaN or infinite; the trial fails as diverged, even if this is caught."""


class StopSignal(threading.Event):
    """An event that also calls back, once, from the thread that sets it."""

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    def set(self) -> None:
        """Ask for the stop; waiting threads wake and callbacks run. Idempotent."""
        with self._guard:
            super().set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def call(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the stop is asked for; at once where it already was."""
        with self._guard:
            if not self.is_set():
                self._callbacks.append(callback)
                return
        callback()


class TrialContext:
    """One attempt at one trial, as its trainer sees it.

    params: what was proposed. settings: the sweep's settings. objectives: names, in order.
    seed: in [0, 2**32), the same for this trial wherever it runs. workdir: a folder for files, or
    None. gpus: how many may be used, 0 for CPU only. number, attempt: from 0.
    Every method may be called from any thread.
    """

    def __init__(
        self,
        *,
        params: Mapping[str, Any],
        settings: Mapping[str, Any] | None = None,
        objectives: tuple[str, ...] = ("value",),
        seed: int = 0,
        workdir: Path | None = None,
        gpus: int = 0,
        number: int = 0,
        attempt: int = 0,
        on_report: Callable[[Progress], None] = lambda _progress: None,
        on_stage: Callable[[str], None] = lambda _stage: None,
        stop: StopSignal | None = None,
    ) -> None:
        self.params = dict(params)
        self.settings = dict(settings or {})
        self.objectives = objectives
        self.seed = seed
        self.workdir = workdir
        self.gpus = gpus
        self.number = number
        self.attempt = attempt
        self._on_report = on_report
        self._on_stage = on_stage
        self._stop = stop or StopSignal()
        self._lock = threading.Lock()
        self._last_step = -1
        self._diverged: TrialDiverged | None = None
        self._stop_seen = False

    @property
    def stop_seen(self) -> bool:
        """Return whether the trainer was told to stop, so that what it returns may be partial."""
        return self._stop_seen

    @property
    def last_step(self) -> int:
        """Return the last step reported, -1 before the first."""
        return self._last_step

    @property
    def diverged(self) -> TrialDiverged | None:
        """Return the divergence that was reported, if one was."""
        return self._diverged

    def report(
        self, step: int, value: float, *, total_steps: int | None = None, **metrics: float
    ) -> None:
        """Report the first objective's `value` after `step`, with further metrics by name.

        Steps count from 0 and grow; a repeated or earlier one raises ValueError. A NaN or infinite
        `value` raises TrialDiverged; a non-finite further metric is left out. Reports that come
        faster than a client can use are thinned out on the way, never the last one.
        """
        step = _whole("step", step)
        number = _number("value", value)
        with self._lock:
            if step <= self._last_step:
                raise ValueError(
                    f"report(step={step}) after step {self._last_step}: steps must grow; "
                    "report each step once"
                )
            if not math.isfinite(number):
                self._diverged = TrialDiverged(f"the value reported at step {step} is {number}")
                raise self._diverged
            progress = Progress(
                step=step,
                value=number,
                total_steps=None if total_steps is None else _whole("total_steps", total_steps),
                metrics=_finite(metrics),
            )
            self._last_step = step
            self._on_report(progress)

    def stage(self, name: str) -> None:
        """Say what the trial is doing now, e.g. `loading data`, `training`, `evaluating`."""
        self._on_stage(str(name)[:200] or "unnamed")

    def should_stop(self) -> bool:
        """Say whether the trial should end now: return, or raise TrialStopped.

        Once this has said yes, the trial counts as stopped, whatever it returns.
        """
        self._stop_seen = self._stop_seen or self._stop.is_set()
        return self._stop_seen

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Have `callback` called, from any thread, when the trial should end."""

        def tell() -> None:
            self._stop_seen = True
            callback()

        self._stop.call(tell)


def _whole(name: str, value: SupportsIndex) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"report(): {name} must be an integer, not {_kind(value)}") from None
    if not 0 <= number <= MAX_STEP:
        raise ValueError(f"report(): {name} must be in 0..2**53, not {number}")
    return number


def _number(name: str, value: SupportsFloat) -> float:
    if not hasattr(value, "__float__") and not hasattr(value, "__index__"):
        raise TypeError(f"report(): {name} must be a number, not {_kind(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    if len(metrics) > MAX_METRICS:
        raise ValueError(f"report(): {len(metrics)} metrics; at most {MAX_METRICS} are taken")
    numbers = {name: _number(name, value) for name, value in metrics.items()}
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


def _kind(value: object) -> str:
    return type(value).__name__
