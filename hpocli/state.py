"""The state of a run is `fold(events)`: the live view, resume and every report read this.

Any prefix of a log folds to a state that resume can go on from (a property test says so).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hpocli import events as ev
from hpocli.spi import JsonScalar
from hpocli.statuses import ENDED as ENDED  # noqa: PLC0414 - part of this module's face


@dataclass(slots=True)
class TrialView:
    """One trial as the log knows it.

    status: waiting (proposed, or put back), submitting (intent written), queued (the platform has
    it), running, or one of ENDED. `attempt` counts from 0, -1 before the first. `outcome` is the
    last attempt's result that has not been told yet. Times are seconds since the epoch.
    """

    number: int
    params: Mapping[str, JsonScalar]
    seed: int
    source: str
    created_at: float
    status: str = "waiting"
    attempt: int = -1
    key: str = ""
    ref: str = ""
    executor: str = ""
    worker: str = ""
    stage: str = ""
    cancelling: str = ""
    retries: dict[str, int] = field(default_factory=dict)
    submitted_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    total_steps: int | None = None
    curve: list[tuple[int, float]] = field(default_factory=list)
    outcome: ev.AttemptEnded | None = None
    values: tuple[float, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    health: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""
    message: str = ""
    fingerprint: str = ""
    duration_s: float | None = None
    fit_s: float | None = None
    artifacts: tuple[str, ...] = ()

    @property
    def step(self) -> int | None:
        """The last reported step, 0-based."""
        return self.curve[-1][0] if self.curve else None

    @property
    def ended(self) -> bool:
        """Whether the trial has been told."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class WorkerSpan:
    """A stretch of time in which one worker ran one attempt (seconds since the epoch)."""

    worker: str
    trial: int
    attempt: int
    start: float
    end: float
    state: str


@dataclass(slots=True)
class RunState:
    """A whole run as the log knows it; `apply` takes one record after the other."""

    header: ev.RunStarted | None = None
    started_at: float | None = None
    resumed_at: float | None = None
    last_at: float | None = None
    seq: int = 0
    finished: ev.RunFinished | None = None
    interrupted: ev.RunInterrupted | None = None
    limit: int | None = None
    paused_until: float | None = None
    best: int | None = None
    trials: dict[int, TrialView] = field(default_factory=dict)
    spans: list[WorkerSpan] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    previous_elapsed_s: float = 0.0

    def apply(self, record: ev.Record) -> None:
        """Take the next record. Unknown trials are ignored: a log may have lost its head."""
        if isinstance(record.event, ev.RunStarted):
            self._close_killed_session()
        self.seq, self.last_at = record.seq, record.ts
        number = getattr(record.event, "trial", None)
        before = self.trials.get(number) if isinstance(number, int) else None
        old = before.status if before else None
        handler = getattr(self, f"_on_{record.event.name}", None)  # most events change the state
        if handler is not None:
            handler(record.event, record.ts)
        after = self.trials.get(number) if isinstance(number, int) else None
        self._count(old, after.status if after else None)

    def _close_killed_session(self) -> None:
        """Count the time of a process that was killed before it could say how long it ran."""
        if self.resumed_at is not None and self.finished is None and self.last_at is not None:
            self.previous_elapsed_s += self.last_at - self.resumed_at

    def _count(self, old: str | None, new: str | None) -> None:
        if old == new:
            return
        if old is not None:
            self.counts[old] -= 1
        if new is not None:
            self.counts[new] = self.counts.get(new, 0) + 1

    def count(self, *statuses: str) -> int:
        """Return how many trials have one of `statuses`."""
        return sum(self.counts.get(status, 0) for status in statuses)

    def open_trials(self) -> list[TrialView]:
        """Return the trials that have not been told, in order of number."""
        return [t for _, t in sorted(self.trials.items()) if not t.ended]

    def _on_run_started(self, event: ev.RunStarted, ts: float) -> None:
        if self.started_at is None:
            self.started_at = ts
        self.header, self.resumed_at = event, ts
        self.finished = self.interrupted = None
        self.limit, self.paused_until = event.concurrent_workers, None

    def _on_run_finished(self, event: ev.RunFinished, ts: float) -> None:
        self.finished = event
        self.previous_elapsed_s += event.elapsed_s

    def _on_run_interrupted(self, event: ev.RunInterrupted, ts: float) -> None:
        self.interrupted = event

    def _on_capacity_changed(self, event: ev.CapacityChanged, ts: float) -> None:
        self.limit = event.limit
        self.paused_until = ts + event.paused_s if event.paused_s else None

    def _on_warned(self, event: ev.Warned, ts: float) -> None:
        self.warnings.append(event.message)

    def _on_trial_created(self, event: ev.TrialCreated, ts: float) -> None:
        self.trials.setdefault(
            event.trial,
            TrialView(event.trial, event.params, event.seed, event.source, created_at=ts),
        )

    def _on_trial_submitting(self, event: ev.TrialSubmitting, ts: float) -> None:
        if trial := self._open(event.trial):
            trial.status, trial.attempt, trial.key = "submitting", event.attempt, event.key
            trial.executor, trial.ref, trial.worker, trial.stage = event.executor, "", "", ""
            trial.cancelling, trial.outcome, trial.curve = "", None, []
            trial.submitted_at, trial.started_at = ts, None

    def _on_trial_withdrawn(self, event: ev.TrialWithdrawn, ts: float) -> None:
        if trial := self._open(event.trial, event.attempt):
            trial.status, trial.attempt, trial.key = "waiting", event.attempt - 1, ""
            trial.failure, trial.message = event.failure, event.message

    def _on_trial_submitted(self, event: ev.TrialSubmitted, ts: float) -> None:
        if trial := self._open(event.trial, event.attempt):
            trial.ref = event.ref
            trial.status = "queued" if trial.status == "submitting" else trial.status

    def _on_trial_started(self, event: ev.TrialStarted, ts: float) -> None:
        if trial := self._open(event.trial, event.attempt):
            trial.status, trial.worker, trial.started_at = "running", event.worker, ts

    def _on_trial_stage(self, event: ev.TrialStage, ts: float) -> None:
        if trial := self._open(event.trial, event.attempt):
            trial.stage = event.stage

    def _on_trial_reported(self, event: ev.TrialReported, ts: float) -> None:
        if trial := self._open(event.trial, event.attempt):
            trial.curve.append((event.step, event.value))
            trial.total_steps = event.total_steps or trial.total_steps

    def _on_trial_cancelling(self, event: ev.TrialCancelling, ts: float) -> None:
        if trial := self._open(event.trial, event.attempt):
            trial.cancelling = event.reason

    def _on_attempt_ended(self, event: ev.AttemptEnded, ts: float) -> None:
        trial = self._open(event.trial, event.attempt)
        if trial is None:
            return
        trial.outcome, trial.status, trial.stage = event, "waiting", ""
        trial.worker = event.worker or trial.worker
        trial.failure, trial.message = event.failure, event.message
        trial.fingerprint = event.fingerprint
        trial.metrics, trial.health, trial.artifacts = event.metrics, event.health, event.artifacts
        trial.duration_s, trial.fit_s = event.duration_s, event.fit_s
        if trial.started_at is not None:
            span = (trial.worker, trial.number, event.attempt, trial.started_at, ts, event.state)
            self.spans.append(WorkerSpan(*span))

    def _on_trial_retrying(self, event: ev.TrialRetrying, ts: float) -> None:
        if trial := self._open(event.trial):
            trial.status, trial.outcome = "waiting", None
            trial.retries[event.failure] = trial.retries.get(event.failure, 0) + 1

    def _on_trial_finished(self, event: ev.TrialFinished, ts: float) -> None:
        if trial := self._open(event.trial):
            trial.status, trial.values, trial.ended_at = event.state, event.values, ts
            trial.failure, trial.message = event.failure, event.message
            trial.stage, trial.outcome = "", None

    def _on_best_improved(self, event: ev.BestImproved, ts: float) -> None:
        self.best = event.trial

    def _open(self, number: int, attempt: int | None = None) -> TrialView | None:
        trial = self.trials.get(number)
        if trial is None or trial.ended:
            return None
        return trial if attempt is None or attempt == trial.attempt else None


def fold(records: Iterable[ev.Record]) -> RunState:
    """Return the state that the records describe."""
    state = RunState()
    for record in records:
        state.apply(record)
    return state
