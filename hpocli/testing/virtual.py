"""A clock in virtual time and an executor that plays scripts on it; one thread, no waiting.

    clock = VirtualClock()
    executor = ScriptedExecutor(clock, lambda request: Play(duration_s=3600, curve=(0.1, 0.5)))

A scheduler given this clock runs hours of trials in milliseconds and always in the same order.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from hpocli.spi import (
    Executor,
    ExecutorUnavailable,
    Health,
    ReportCallback,
    Reported,
    Started,
    Submitted,
    TrialError,
    TrialRequest,
    TrialResult,
)

T = TypeVar("T")
EPOCH_S = 1_700_000_000.0


class VirtualClock:
    """Time that passes only while someone waits, straight to the next thing that happens."""

    def __init__(self) -> None:
        self._now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def monotonic(self) -> float:
        """Return the virtual seconds that have passed."""
        return self._now

    def time(self) -> float:
        """Return the virtual seconds since the epoch; time 0 is in November 2023."""
        return EPOCH_S + self._now

    def call_in(self, delay_s: float, action: Callable[[], None]) -> None:
        """Have `action` called once `delay_s` virtual seconds have passed."""
        heapq.heappush(self._due, (self._now + max(0.0, delay_s), next(self._order), action))

    def receive(self, inbox: SimpleQueue[T], timeout_s: float | None) -> T | None:
        """Take the next message; until there is one, let what is due happen.

        Raises RuntimeError where nothing is due and there is no time-out: a real sweep would hang.
        """
        deadline = None if timeout_s is None else self._now + max(0.0, timeout_s)
        while inbox.empty():
            if not self._due and deadline is None:
                raise RuntimeError("nothing will ever happen: the sweep would hang")
            if deadline is not None and (not self._due or self._due[0][0] > deadline):
                self._now = deadline
                return None
            self._now, _, action = heapq.heappop(self._due)
            action()
        return inbox.get_nowait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What one attempt does: intermediate values evenly over its duration, then its end.

    Ends with `raises` on its future, else failed with `error`, else completed with `metrics`
    (by default the last value under the objective's name). `refuses` is raised by the submission.
    `ignores_cancel` attempts run on as if nothing had been said.
    """

    duration_s: float = 1.0
    curve: Sequence[float] = ()
    metrics: Mapping[str, float] | None = None
    error: TrialError | None = None
    raises: Exception | None = None
    refuses: Exception | None = None
    ignores_cancel: bool = False
    health: Mapping[str, float] = field(default_factory=dict)


class ScriptedExecutor(Executor):
    """Plays `script(request)` for each attempt on a virtual clock; records what it was asked."""

    def __init__(
        self,
        clock: VirtualClock,
        script: Callable[[TrialRequest], Play],
        *,
        capacity: int | None = None,
        stop_s: float = 0.0,
    ) -> None:
        self._clock = clock
        self._script = script
        self._capacity = capacity
        self._stop_s = stop_s
        self._live: dict[str, tuple[Play, Future[TrialResult]]] = {}
        self.requests: list[TrialRequest] = []
        self.cancelled: list[str] = []
        self.most_in_flight = 0

    def submit_trial(self, request: TrialRequest, on_report: ReportCallback) -> Future[TrialResult]:
        """Schedule the attempt's whole life."""
        play = self._script(request)
        if play.refuses is not None:
            raise play.refuses
        if self._capacity is not None and len(self._live) >= self._capacity:
            raise ExecutorUnavailable("all slots are taken")
        self.requests.append(request)
        future: Future[TrialResult] = Future()
        future.set_running_or_notify_cancel()
        self._live[request.key] = (play, future)
        self.most_in_flight = max(self.most_in_flight, len(self._live))
        on_report(Submitted(key=request.key, ref=f"job-{len(self.requests)}"))
        self._clock.call_in(0.0, lambda: on_report(Started(key=request.key, worker="w0")))
        total = len(play.curve)
        for step, value in enumerate(play.curve):
            report = Reported(key=request.key, step=step, value=value, total_steps=total)
            delay_s = play.duration_s * (step + 1) / (total + 1)
            self._clock.call_in(delay_s, partial(self._send, report, on_report))
        self._clock.call_in(play.duration_s, lambda: self._end(request))
        return future

    def _send(self, report: Reported, on_report: ReportCallback) -> None:
        if report.key in self._live:
            on_report(report)

    def _end(self, request: TrialRequest) -> None:
        found = self._live.pop(request.key, None)
        if found is None:
            return
        play, future = found
        if play.raises is not None:
            future.set_exception(play.raises)
            return
        last = play.curve[-1] if play.curve else 0.0
        metrics = play.metrics if play.metrics is not None else {request.objectives[0]: last}
        future.set_result(
            TrialResult(
                key=request.key,
                state="failed" if play.error else "completed",
                metrics=metrics,
                error=play.error,
                health=play.health,
                duration_s=play.duration_s,
                worker="w0",
            )
        )

    def cancel(self, trial_key: str) -> None:
        """End the attempt as cancelled after `stop_s`."""
        self.cancelled.append(trial_key)
        if trial_key in self._live and not self._live[trial_key][0].ignores_cancel:
            self._clock.call_in(self._stop_s, lambda: self._stop(trial_key))

    def _stop(self, key: str) -> None:
        found = self._live.pop(key, None)
        if found is not None:
            found[1].set_result(TrialResult(key=key, state="cancelled", worker="w0"))

    def health(self) -> Health:
        """Report the configured capacity."""
        return Health(ok=True, capacity=self._capacity)

    def close(self) -> None:
        """End what is left."""
        for key in list(self._live):
            self._stop(key)
