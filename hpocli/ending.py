"""When a sweep ends before its last trial, and how: caps, failure budget, interrupts."""

from __future__ import annotations

from dataclasses import dataclass

from hpocli.config import SweepConfig
from hpocli.errors import ExitCode
from hpocli.events import BestImproved
from hpocli.objective import is_better
from hpocli.spi import FailureClass
from hpocli.state import RunState
from hpocli.verdict import Verdict

GRACE_S = 10.0  # for cancelled attempts to end before they are left to the executor's close


@dataclass(frozen=True, slots=True)
class Ending:
    """How the process ends: exit code, one sentence, and what to do about it."""

    code: ExitCode
    reason: str
    hint: str = ""


class Policy:
    """Decides about stopping; the scheduler's thread asks it, nothing here waits or acts.

    window_s: how long a first interrupt may drain. attaches: whether jobs can be left running.
    `best` is the best value told so far of a single objective, or None.
    """

    def __init__(
        self, config: SweepConfig, state: RunState, *, window_s: float, attaches: bool = False
    ) -> None:
        self._config = config
        self._window_s = window_s
        self._attaches = attaches
        self._ending: Ending | None = None
        self._deadline: float | None = None
        self._window: float | None = None
        self._abandon: float | None = None
        self._failures = state.count("failed")
        self._streak: tuple[str, int] = ("", 0)
        best = state.trials.get(state.best) if state.best is not None else None
        self.best = best.values[0] if best is not None and best.values else None
        self.now = False

    @property
    def stopping(self) -> bool:
        """Whether nothing new may start."""
        return self._ending is not None

    def begin(self, now: float) -> None:
        """Start the sweep's own clock; `timeout` counts from here in each process."""
        if self._config.timeout_s is not None:
            self._deadline = now + self._config.timeout_s

    def due(self) -> float | None:
        """Return the next moment at which this policy changes its mind, or None."""
        times = (self._deadline, self._window, self._abandon)
        return min((t for t in times if t is not None), default=None)

    # --- caps ------------------------------------------------------------------------------------

    def time_is_up(self, now: float) -> bool:
        """Say once, when `timeout` has passed, that everything must be cancelled."""
        if self._abandon is not None and now >= self._abandon:
            self.now = True
        if self._deadline is None or now < self._deadline:
            return False
        self._deadline = None
        reason = f"the sweep's timeout of {self._config.timeout_s:g} s has passed"
        return self.give_up(reason, ExitCode.CAPPED, "", now)

    def failure(self, verdict: Verdict) -> str:
        """Count an ended trial; return why the sweep must stop, or "".

        `max_failures` bounds failed trials in all, `max_identical_failures` those in a row that
        fail in the objective in the same way.
        """
        if verdict.state != "failed":
            self._streak = ("", 0)
            return ""
        self._failures += 1
        limit = self._config.max_failures
        if limit is not None and self._failures > limit:
            return f"{self._failures} trials failed, more than max_failures={limit} allows"
        return self._identical(verdict)

    def _identical(self, verdict: Verdict) -> str:
        if verdict.failure not in (FailureClass.USER, FailureClass.OOM):
            self._streak = ("", 0)
            return ""
        print_, count = self._streak
        count = count + 1 if print_ == verdict.fingerprint else 1
        self._streak = (verdict.fingerprint, count)
        if count < self._config.max_identical_failures:
            return ""
        return f"{count} trials in a row failed in the same way: {verdict.message}"

    def give_up(self, reason: str, code: ExitCode, hint: str, now: float) -> bool:
        """Decide to stop for `reason`; return False where that was decided before."""
        if self._ending is not None:
            return False
        self._ending = Ending(code, reason, hint)
        self._abandon = now + GRACE_S
        return True

    # --- interrupts ------------------------------------------------------------------------------

    def interrupt(self, signal: str, now: float, in_flight: int) -> str:
        """Take a signal; return what is done: drain, cancel, detach, or now."""
        if self._ending is not None and self._ending.code in _SIGNALLED:
            self.now = True
            return "now"
        code = ExitCode.INTERRUPTED if signal == "SIGINT" else ExitCode.TERMINATED
        self._ending = Ending(code, f"interrupted by {signal}")
        self._deadline = None
        policy = self._config.on_interrupt
        if policy == "detach" and self._attaches:
            self._ending = Ending(ExitCode.DETACHED, f"detached; {in_flight} trials go on")
            self.now = True
            return "detach"
        if policy == "cancel":
            self._abandon = now + min(GRACE_S, self._window_s)
            return "cancel"
        self._window = now + max(0.0, self._window_s - GRACE_S / 2)
        self._abandon = now + self._window_s
        return "drain"

    def window_closed(self, now: float) -> bool:
        """Say once, when draining took too long, that everything must be cancelled."""
        if self._window is None or now < self._window:
            return False
        self._window = None
        return True

    # --- how it ended ----------------------------------------------------------------------------

    def ending(self, in_flight: int) -> Ending:
        """Return the ending that was decided."""
        assert self._ending is not None
        if not in_flight or self._ending.code is ExitCode.DETACHED:
            return self._ending
        left = f"{self._ending.reason}; {in_flight} trials in flight were abandoned"
        return Ending(self._ending.code, left, self._ending.hint)

    def completed(self, state: RunState) -> Ending:
        """Return the ending of a sweep whose every trial was told."""
        told = state.count("completed", "pruned", "failed")
        if told and not state.count("completed"):
            return Ending(ExitCode.FAILED, f"none of the {told} trials completed")
        return Ending(ExitCode.OK, f"all {told} trials ended")

    def improvement(self, number: int, verdict: Verdict) -> BestImproved | None:
        """Return the event for a new best trial, where this one is."""
        if verdict.state != "completed" or len(verdict.values) != 1:
            return None
        value = verdict.values[0]
        if self.best is not None and not is_better(self._config.directions[0], value, self.best):
            return None
        self.best = value
        return BestImproved(trial=number, value=value, metrics=verdict.metrics)


def interrupt_words(applied: str, running: int, *, run: str, window_s: float) -> str:
    """Return what is said at once when a signal asks for the end; `applied`: see RunInterrupted."""
    trials = "1 running trial" if running == 1 else f"{running} running trials"
    if applied == "now":
        return "stopping at once; nothing that ended is lost"
    if applied == "detach":
        return f"detaching: {trials} go on; hpo resume {run} takes them up"
    fate = f"up to {window_s:g} s for {trials} to end" if applied == "drain" else f"ending {trials}"
    if not running:
        fate = "no trial is running"
    again = f"press Ctrl-C again to stop at once, go on later with: hpo resume {run}"
    return f"stopping: nothing new starts, {fate}; {again}"


_SIGNALLED = (ExitCode.INTERRUPTED, ExitCode.TERMINATED, ExitCode.DETACHED)
