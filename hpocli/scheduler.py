"""The loop that drives a sweep. One thread owns study, ledger and capacity; all else are messages.

    fill:   ask -> intent -> submit ----------------> executor.submit_trial(request, inbox.put)
    inbox:  report -> study -> prune? -> cancel  <--- reports            (any thread)
            ended  -> classify -> tell | retry | move  <- future's done-callback
            stop, nothing until a deadline -> drain, time-outs, refill   <- signals, clock

No lock around the study, no polling, no second writer.
"""

from __future__ import annotations

import logging
import math
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue

from hpocli import events as ev
from hpocli.clock import Clock
from hpocli.config import SweepConfig
from hpocli.ending import Ending, Policy
from hpocli.errors import ExitCode
from hpocli.flight import Ended, Flight, Message, RequestFactory, Stop, Waiting
from hpocli.ledger import Ledger
from hpocli.outcome import attempt_ended, broken, lost
from hpocli.slots import Slots
from hpocli.spi import (
    Executor,
    ExecutorError,
    ExecutorUnavailable,
    FailureClass,
    Report,
    Reported,
    StageChanged,
    Started,
    Submitted,
    TrialResult,
)
from hpocli.study import SweepStudy, trial_seed
from hpocli.telling import Teller
from hpocli.verdict import Action, Verdict, judge

_log = logging.getLogger(__name__)
_BATCH = 256  # messages handled before the slots are looked at again


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The collaborators of a scheduler; each is owned by its thread while it runs."""

    config: SweepConfig
    study: SweepStudy
    ledger: Ledger
    executor: Executor
    requests: RequestFactory
    clock: Clock


class Scheduler:
    """Drives one sweep from where the ledger stands to its end."""

    def __init__(self, parts: Parts, policy: Policy) -> None:
        self._config = parts.config
        self._study = parts.study
        self._ledger = parts.ledger
        self._executor = parts.executor
        self._requests = parts.requests
        self._clock = parts.clock
        self._policy = policy
        self._inbox: SimpleQueue[Message] = SimpleQueue()
        self._flying: dict[str, Flight] = {}
        self._waiting = Waiting()
        self._slots = Slots(
            parts.config.concurrent_workers, parts.executor, parts.ledger, parts.clock
        )
        self._teller = Teller(parts.config, parts.study, parts.ledger, policy)
        self._ended = 0
        self._busy_s = 0.0
        self._idle_s = 0.0

    # --- what other threads may call -------------------------------------------------------------

    def post(self, message: Message) -> None:
        """Put a message into the inbox; safe from any thread and from a signal handler."""
        self._inbox.put(message)

    # --- the loop --------------------------------------------------------------------------------

    def run(self) -> Ending:
        """Run until all trials are told or the policy ends the sweep; say how it ended.

        Raises StateError where the disk takes no more.
        """
        self._policy.begin(self._clock.monotonic())
        self._teller.begin()
        while True:
            self._fill()
            ending = self._ending()
            if ending is not None:
                return ending
            self._wait()
            self._enforce_deadlines()

    def _wait(self) -> None:
        """Handle the messages that are there, or wait for the next or for what is due."""
        began, empty = self._clock.monotonic(), self._slots.limit - len(self._flying)
        message = self._clock.receive(self._inbox, self._patience())
        self._idle_s += max(0, empty) * (self._clock.monotonic() - began)
        for _ in range(_BATCH):
            if message is None:
                return
            self._handle(message)
            if self._inbox.empty():
                return
            message = self._clock.receive(self._inbox, 0.0)

    def _ending(self) -> Ending | None:
        if self._policy.now or (self._policy.stopping and not self._flying):
            return self._policy.ending(in_flight=len(self._flying))
        if self._flying or self._waiting or self._may_propose():
            return None
        self._stop_for(self._teller.release())
        if self._policy.stopping:
            return self._policy.ending(in_flight=0)
        if self._config.reproducible:
            self._say_price_of_order()
        return self._policy.completed(self._ledger.state)

    def _say_price_of_order(self) -> None:
        share = self._idle_s / max(self._idle_s + self._busy_s, 1e-9)
        self._ledger.emit(
            ev.Warned(
                message=f"reproducible: slots stood idle for {self._idle_s:.1f} s in all "
                f"({share:.0%} of slot time) to keep the order of results"
            )
        )

    def _patience(self) -> float | None:
        """Seconds until something is due with no message; None where nothing is."""
        now = self._clock.monotonic()
        due = [flight.deadline for flight in self._flying.values() if flight.deadline is not None]
        moments = (self._policy.due(), self._waiting.next_at(), self._slots.paused_until)
        later = [at for at in moments if at is not None and at > now]
        return max(0.0, min(due + later) - now) if due or later else None

    # --- fill ------------------------------------------------------------------------------------

    def _fill(self) -> None:
        while not self._policy.stopping and self._slots.free(len(self._flying)):
            flight = self._waiting.take(self._clock.monotonic()) or self._propose()
            if flight is None:
                break
            self._submit(flight)
            if not self._inbox.empty():
                return
        self._ask_ahead()

    def _may_propose(self) -> bool:
        made = len(self._ledger.state.trials)
        return (
            not self._policy.stopping and made < self._config.trials and not self._study.exhausted
        )

    def _propose(self) -> Flight | None:
        """Ask the study for a trial, or return None where none is due yet."""
        if not self._may_propose():
            return None
        visible = self._teller.visible()
        if visible is not None:
            if not self._teller.settled(visible):
                return None
            self._stop_for(self._teller.release(visible))
        proposal = self._study.ask(visible=visible)
        seed = trial_seed(self._config.seed, proposal.number)
        self._ledger.emit(
            ev.TrialCreated(
                trial=proposal.number, params=proposal.params, seed=seed, source=proposal.source
            )
        )
        return Flight(number=proposal.number, params=proposal.params, seed=seed)

    def _ask_ahead(self) -> None:
        """Prefetch as many proposals as it takes to hide the cost of an ask, and no more.

        With k trials in flight of mean length t the study must propose k/t trials a second; where
        an ask costs c, c*k/t of them fall due while one is made. Each prefetched proposal knows
        one result less, so below a twentieth nothing is fetched ahead.
        """
        if self._config.reproducible or not self._ended or not self._inbox.empty():
            return
        trial_s = max(self._busy_s / self._ended, 1e-6)
        load = self._study.ask_cost_s * self._slots.limit / trial_s
        wanted = min(math.ceil(load), self._slots.limit) if load > 0.05 else 0
        if len(self._waiting) < wanted and len(self._flying) >= self._slots.limit:
            flight = self._propose()
            if flight is not None:
                self._waiting.add(flight)

    def _submit(self, flight: Flight) -> None:
        now = self._clock.monotonic()
        flight.attempt += 1
        flight.key = self._requests.key(flight.number, flight.attempt)
        flight.cancelling, flight.ref, flight.last_step = "", "", -1
        flight.epoch, flight.submitted_at, flight.deadline = self._slots.epoch, now, None
        self._ledger.emit(
            ev.TrialSubmitting(
                trial=flight.number,
                attempt=flight.attempt,
                key=flight.key,
                executor=self._config.executor,
            )
        )
        if self._executor.billed:
            self._study.barrier()
            self._ledger.barrier()
        self._flying[flight.key] = flight
        request = self._requests.request(flight, self._policy.best)
        try:
            future = self._executor.submit_trial(request, self._inbox.put)
        except ExecutorError as error:
            self._refused(flight, error)
        except Exception as error:  # noqa: BLE001 - a plugin's bug costs one attempt
            _log.exception("submit_trial failed")
            self._conclude(flight, lost(flight.key, f"submit_trial raised {error!r}"))
        else:
            self.watch(flight, future)

    def watch(self, flight: Flight, future: Future[TrialResult]) -> None:
        """Take the end of this attempt into the inbox when it comes."""
        self._flying[flight.key] = flight
        future.add_done_callback(partial(_post_end, self._inbox, flight.key))

    def wait_for_slot(self, flight: Flight) -> None:
        """Queue a trial that an earlier process proposed."""
        self._waiting.add(flight)

    def _refused(self, flight: Flight, error: ExecutorError) -> None:
        """The submission was provably not processed: the attempt does not count."""
        del self._flying[flight.key]
        self._ledger.emit(
            ev.TrialWithdrawn(
                trial=flight.number,
                attempt=flight.attempt,
                failure=error.failure,
                message=error.message,
            )
        )
        flight.attempt -= 1
        self._waiting.add(flight)
        self._slots.refused(flight.epoch, error)
        if error.failure == FailureClass.REJECTED:
            self._give_up(error.message, ExitCode.NO_BACKEND, hint=error.hint)
        elif self._slots.exhausted:
            reason = f"the executor stayed unavailable: {error.message}"
            self._give_up(reason, ExitCode.NO_BACKEND, hint=error.hint)

    # --- inbox -----------------------------------------------------------------------------------

    def _handle(self, message: Message) -> None:
        match message:
            case Stop():
                self._stop(message.signal)
            case Ended(key=key, future=future):
                self._on_end(key, future)
            case _:
                flight = self._flying.get(message.key)
                if flight is not None:
                    self._on_report(flight, message)

    def _on_report(self, flight: Flight, report: Report) -> None:
        who = {"trial": flight.number, "attempt": flight.attempt}
        match report:
            case Submitted(ref=ref):
                flight.ref = ref
                self._ledger.emit(ev.TrialSubmitted(**who, ref=ref), durable=self._executor.billed)
            case Started(worker=worker, info=info):
                if self._config.trial_timeout_s is not None:
                    flight.deadline = self._clock.monotonic() + self._config.trial_timeout_s
                self._ledger.emit(ev.TrialStarted(**who, worker=worker, info=info))
            case StageChanged(stage=stage):
                self._ledger.emit(ev.TrialStage(**who, stage=stage))
            case Reported():
                self._on_value(flight, report)

    def _on_value(self, flight: Flight, report: Reported) -> None:
        """Replay one step to the study: a batch told at once would poison the rungs of ASHA."""
        if report.step <= flight.last_step or not math.isfinite(report.value):
            return
        flight.last_step = report.step
        self._ledger.emit(
            ev.TrialReported(
                trial=flight.number,
                attempt=flight.attempt,
                step=report.step,
                value=report.value,
                total_steps=report.total_steps,
                metrics={k: v for k, v in report.metrics.items() if math.isfinite(v)},
            )
        )
        if len(self._config.objectives) > 1:
            return
        self._study.report(flight.number, report.step, report.value)
        if not flight.cancelling and self._study.should_prune(flight.number):
            self._cancel(flight, "pruned")

    def _cancel(self, flight: Flight, reason: str) -> None:
        flight.cancelling = reason
        self._ledger.emit(
            ev.TrialCancelling(trial=flight.number, attempt=flight.attempt, reason=reason)
        )
        try:
            self._executor.cancel(flight.key)
        except Exception:  # noqa: BLE001 - cancelling is a wish
            _log.exception("cancel failed for trial %d", flight.number)

    def _on_end(self, key: str, future: Future[TrialResult]) -> None:
        flight = self._flying.get(key)
        if flight is None:
            number, attempt = map(int, key.rsplit("/", 2)[1:])
            self._ledger.emit(
                ev.ResultIgnored(trial=number, attempt=attempt, reason="a second or late result")
            )
            return
        try:
            error = future.exception()
        except CancelledError:
            self._conclude(flight, lost(key, "the attempt's future was cancelled"))
            return
        if isinstance(error, ExecutorUnavailable) and not flight.cancelling:
            self._refused(flight, error)
        else:
            self._conclude(flight, future.result() if error is None else broken(key, error))

    # --- ends ------------------------------------------------------------------------------------

    def _conclude(self, flight: Flight, result: TrialResult) -> None:
        """Write how the attempt ended, then do what its class asks for."""
        flight_s = self._clock.monotonic() - flight.submitted_at
        del self._flying[flight.key]
        outcome = attempt_ended(flight, result, self._config.objectives)
        self._ledger.emit(outcome, durable=self._executor.billed)
        verdict = judge(self._config, outcome, flight.cancelling, flight.retries)
        self._count(flight, verdict, flight_s)
        self.settle(flight, verdict)

    def settle(self, flight: Flight, verdict: Verdict) -> None:
        """Tell the study, or put the trial back, as the verdict says."""
        match verdict.action:
            case Action.TELL:
                self._stop_for(self._teller.tell(flight.number, verdict))
            case Action.RETRY:
                flight.retries[verdict.failure] = flight.retries.get(verdict.failure, 0) + 1
                self._put_back(flight, verdict.failure)
            case Action.PUT_BACK:
                self._put_back(flight, "interrupted")
            case Action.REJECT:
                self._put_back(flight, verdict.failure)
                self._give_up(verdict.message, ExitCode.NO_BACKEND)

    def _put_back(self, flight: Flight, failure: str) -> None:
        self._ledger.emit(
            ev.TrialRetrying(
                trial=flight.number, attempt=flight.attempt + 1, failure=failure, delay_s=0.0
            )
        )
        flight.not_before = self._clock.monotonic()
        self._waiting.add(flight)

    # --- deadlines, stopping ----------------------------------------------------------

    def _count(self, flight: Flight, verdict: Verdict, flight_s: float) -> None:
        if verdict.failure == FailureClass.LOST:
            self._slots.lost(flight.epoch, verdict.message)
        elif verdict.action is Action.TELL:
            self._ended += 1
            self._busy_s += flight_s
            self._slots.succeeded(len(self._flying) + 1)

    def _enforce_deadlines(self) -> None:
        now = self._clock.monotonic()
        for flight in [f for f in self._flying.values() if f.deadline is not None]:
            if flight.deadline is not None and now >= flight.deadline:
                flight.deadline = None
                if not flight.cancelling:
                    self._cancel(flight, "timeout")
        if self._policy.time_is_up(now):
            self._cancel_all("stop")
        elif self._policy.window_closed(now):
            self._cancel_all("interrupt")

    def _cancel_all(self, reason: str) -> None:
        for flight in list(self._flying.values()):
            if not flight.cancelling:
                self._cancel(flight, reason)

    def _stop_for(self, reason: str) -> None:
        if reason:
            self._give_up(reason, ExitCode.FAILED)

    def _give_up(self, reason: str, code: ExitCode, *, hint: str = "") -> None:
        if self._policy.give_up(reason, code, hint, self._clock.monotonic()):
            self._cancel_all("stop")

    def _stop(self, signal: str) -> None:
        applied = self._policy.interrupt(signal, self._clock.monotonic(), len(self._flying))
        self._ledger.emit(ev.RunInterrupted(signal=signal, policy=applied))
        if applied == "cancel":
            self._cancel_all("interrupt")


def _post_end(inbox: SimpleQueue[Message], key: str, future: Future[TrialResult]) -> None:
    inbox.put(Ended(key, future))
