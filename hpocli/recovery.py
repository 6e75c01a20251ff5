"""Taking up a run that an earlier process left: study and ledger made to agree, trial by trial.

The ledger is written before the study is told and closed after it, so for every trial exactly one
of these holds, whatever the instant of the kill:

    study           ledger              what is done
    told            open                the ledger learns the end
    running         ended               the study is told again (idempotent)
    running         result, not told    the result is judged and told
    running         in flight           attached where the executor can, else run again
    running         waiting             queued
    running         unknown             adopted (or told FAIL where the proposal is incomplete)
    missing         known               proposed again under its number (a power loss took the tail)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

from hpocli import events as ev
from hpocli.errors import StateError
from hpocli.flight import Flight
from hpocli.scheduler import Parts, Scheduler
from hpocli.state import TrialView
from hpocli.study import KnownTrial, trial_seed
from hpocli.verdict import judge

Ended = Literal["completed", "pruned", "failed"]


class Recovery:
    """Feeds a fresh scheduler with what the ledger and the study remember."""

    def __init__(self, parts: Parts, scheduler: Scheduler) -> None:
        self._parts = parts
        self._scheduler = scheduler
        self._state = parts.ledger.state

    def run(self) -> None:
        """Bring everything together; afterwards every open trial is queued, flying or told.

        Raises StateError where study and ledger cannot be of the same run.
        """
        known = {trial.number: trial for trial in self._parts.study.known_trials()}
        self._restore_lost(known)
        for trial in known.values():
            self._agree(trial)
        for view in self._state.open_trials():
            self._continue(view)

    def _restore_lost(self, known: dict[int, KnownTrial]) -> None:
        study = self._parts.study
        for view in sorted(self._state.trials.values(), key=lambda view: view.number):
            if view.number in known:
                continue
            study.enqueue(view.params)
            proposal = study.ask(visible=None)
            if proposal.number != view.number:
                raise StateError(
                    f"the study lacks trial {view.number} that the event log knows",
                    hint="start a new run with warm_start from this one",
                )
            if view.ended:
                self._tell_again(view)

    def _tell_again(self, view: TrialView) -> None:
        for step, value in view.curve if len(view.values) < 2 else ():
            self._parts.study.report(view.number, step, value)
        self._parts.study.tell(view.number, cast("Ended", view.status), view.values)

    def _agree(self, trial: KnownTrial) -> None:
        view = self._state.trials.get(trial.number)
        if view is None:
            self._adopt(trial)
        elif view.ended and trial.state == "running":
            self._tell_again(view)
        elif not view.ended and trial.state != "running":
            self._close(view, trial)

    def _adopt(self, trial: KnownTrial) -> None:
        """A process died between the proposal and its event."""
        number = trial.number
        self._parts.ledger.emit(
            ev.TrialCreated(
                trial=number,
                params=trial.params,
                seed=trial_seed(self._parts.config.seed, number),
                source="adopted",
            )
        )
        if trial.state == "running" and not trial.complete:
            self._parts.study.tell(number, "failed")
            trial = replace(trial, state="failed")
            self._state.trials[number].message = "the client died while it was proposed"
        if trial.state != "running":
            self._close(self._state.trials[number], trial)

    def _close(self, view: TrialView, trial: KnownTrial) -> None:
        assert trial.state != "running"
        self._parts.ledger.emit(
            ev.TrialFinished(
                trial=view.number,
                state=trial.state,
                values=trial.values if trial.state == "completed" else (),
                failure=view.failure,
                message=view.message,
            )
        )

    def _continue(self, view: TrialView) -> None:
        flight = Flight.of(view)
        if view.outcome is not None:
            verdict = judge(self._parts.config, view.outcome, view.cancelling, view.retries)
            self._scheduler.settle(flight, verdict)
        elif view.status == "waiting":
            self._scheduler.wait_for_slot(flight)
        elif self._parts.executor.attaches and view.ref:
            self._attach(flight, view)
        else:
            self._run_again(flight, view)

    def _attach(self, flight: Flight, view: TrialView) -> None:
        flight.last_step = -1 if view.step is None else view.step
        request = self._parts.requests.request(flight)
        future = self._parts.executor.attach(view.ref, request, self._scheduler.post)
        self._scheduler.watch(flight, future)

    def _run_again(self, flight: Flight, view: TrialView) -> None:
        """The attempt died with its client. Where its end was already decided, that stands."""
        self._parts.ledger.emit(
            ev.AttemptEnded(
                trial=view.number,
                attempt=view.attempt,
                state="cancelled",
                message="the client was gone",
                worker=view.worker,
            )
        )
        outcome = self._state.trials[view.number].outcome
        assert outcome is not None
        reason = view.cancelling or "interrupt"
        self._scheduler.settle(flight, judge(self._parts.config, outcome, reason, view.retries))
