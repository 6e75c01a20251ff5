"""One attempt at one trial, from its job to its result.

How an attempt ends:

    returned every objective                           completed; cancelled where it had learnt
                                                       from should_stop() that it should end
    returned None, raised TrialPruned or TrialStopped  cancelled where a stop was asked for;
                                                       else pruned (None: failed, user)
    reported or returned NaN or infinity               failed, diverged, whatever it did next
    MemoryError, ResourceExhaustedError, ...           failed, oom
    any other exception, SystemExit included           failed, user
    anything after its deadline                        failed, timeout

An exception's traceback goes to the log, without locals, before the result is sent; a failure that
we recognised is its one sentence.

At the deadline `should_stop()` turns true; GRACE_S later the result is sent and the process ends.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hpo_handler.builtin import run_builtin
from hpo_handler.commands import run_command
from hpo_handler.context import JsonScalar, StopSignal, TrialContext, TrialStopped
from hpo_handler.contract import ContractError, Job, JobError, JobResult, State
from hpo_handler.failures import TrialError, describe, is_pruned, traceback_text
from hpo_handler.functions import run_function
from hpo_handler.guard import Guard
from hpo_handler.outbox import Outbox
from hpo_handler.outcome import read_outcome, wanted

GRACE_S = 4.0  # less than the local executor gives, so that the better told end wins


def run_attempt(job: Job, outbox: Outbox, stop: StopSignal, guard: Guard) -> None:
    """Run the job and write its lines, the result last. Raises nothing."""
    began = time.monotonic()
    outbox.begin(job.key, {"pid": os.getpid(), "python": platform.python_version()})
    deadline = _Deadline(job, stop, lambda: _overdue(job, began, outbox, guard))
    info: dict[str, JsonScalar] = {}
    result = _run(job, outbox, stop, guard, info)
    deadline.end()
    if deadline.passed:
        result = _failed(job, _timeout(job))
    _complete_log()
    _finish(outbox, _timed(result, began, info))


def _run(
    job: Job, outbox: Outbox, stop: StopSignal, guard: Guard, info: dict[str, JsonScalar]
) -> JobResult:
    context: TrialContext | None = None
    try:
        context = _context(job, outbox, stop)
        if stop.is_set():
            raise TrialStopped  # noqa: TRY301 - the one place that reads endings is below
        returned = _call(job, context, guard, info)
        _refuse_divergence(context)
        if returned is None:
            return _returned_nothing(job, stop)
        outcome = read_outcome(returned, job.objectives)
        info |= outcome.info
        return JobResult(
            key=job.key,
            state="cancelled" if context.stop_seen else "completed",
            metrics=outcome.metrics,
            health=outcome.health,
            fit_s=outcome.fit_s,
            artifacts=outcome.artifacts,
        )
    except BaseException as error:  # noqa: BLE001 - a trial's exception is its result
        return _ended_by(error, job, stop, context)


def _context(job: Job, outbox: Outbox, stop: StopSignal) -> TrialContext:
    workdir = Path(job.workdir) if job.workdir else None
    if workdir is not None:
        try:
            workdir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrialError(f"the trial's folder cannot be made: {error}") from None
    number, attempt = _numbers(job.key)
    return TrialContext(
        params=job.params,
        settings=job.settings,
        objectives=job.objectives,
        seed=job.seed,
        workdir=workdir,
        gpus=job.gpus,
        number=number,
        attempt=attempt,
        on_report=outbox.report,
        on_stage=outbox.stage,
        stop=stop,
    )


def _call(job: Job, context: TrialContext, guard: Guard, info: dict[str, JsonScalar]) -> object:
    if job.trainer.kind == "builtin":
        return run_builtin(job.trainer.name, context)
    if job.trainer.kind == "function":
        return run_function(job.trainer, context, info)
    return run_command(job.trainer, context, guard)


def _refuse_divergence(context: TrialContext | None) -> None:
    if context is not None and context.diverged is not None:
        raise context.diverged


def _returned_nothing(job: Job, stop: StopSignal) -> JobResult:
    if stop.is_set():
        return JobResult(key=job.key, state="cancelled")
    raise TrialError(f"the trainer returned None; {wanted(job.objectives)}")


def _ended_by(
    error: BaseException, job: Job, stop: StopSignal, context: TrialContext | None
) -> JobResult:
    if context is not None and context.diverged is not None:
        error = context.diverged
    elif isinstance(error, TrialStopped) or is_pruned(error):
        state: State = "cancelled" if stop.is_set() else "pruned"
        return JobResult(key=job.key, state=state)
    _log(traceback_text(error))
    return _failed(job, describe(error))


def _failed(job: Job, error: JobError) -> JobResult:
    return JobResult(key=job.key, state="failed", error=error)


def _timed(result: JobResult, began: float, info: dict[str, JsonScalar]) -> JobResult:
    return JobResult(
        key=result.key,
        state=result.state,
        metrics=result.metrics,
        error=result.error,
        health=result.health,
        duration_s=time.monotonic() - began,
        fit_s=result.fit_s,
        artifacts=result.artifacts,
        info=info,
    )


def _finish(outbox: Outbox, result: JobResult) -> None:
    """Write the result; one that does not fit the wire becomes the user's error."""
    try:
        outbox.finish(result)
    except ContractError as error:
        message = f"the result cannot be sent: {error}; return fewer or shorter metrics and info"
        refused = JobError(failure="user", message=message, fingerprint="result")
        outbox.finish(JobResult(key=result.key, state="failed", error=refused))


class _Deadline:
    """Sets the stop at the job's deadline, and calls `overdue` a little later."""

    def __init__(self, job: Job, stop: StopSignal, overdue: Callable[[], None]) -> None:
        self.passed = False
        self._ended = threading.Event()
        self._stop = stop
        self._overdue = overdue
        if job.deadline_s is not None:
            seconds = min(max(job.deadline_s, 0.0), threading.TIMEOUT_MAX)
            threading.Thread(target=self._watch, args=(seconds,), daemon=True).start()

    def end(self) -> None:
        """Stop watching: the trainer has ended."""
        self._ended.set()

    def _watch(self, seconds: float) -> None:
        if self._ended.wait(seconds):
            return
        self.passed = True
        self._stop.set()
        if not self._ended.wait(GRACE_S):
            self._overdue()


def _overdue(job: Job, began: float, outbox: Outbox, guard: Guard) -> None:
    """End a trial that does not: say so and die, even where the client no longer reads."""
    last_resort = threading.Timer(GRACE_S, guard.die)
    last_resort.daemon = True
    last_resort.start()
    if outbox.finish(_timed(_failed(job, _timeout(job)), began, {})):
        guard.die()


def _timeout(job: Job) -> JobError:
    message = f"the trial passed its deadline of {job.deadline_s:g} s"
    return JobError(failure="timeout", message=message, fingerprint="timeout")


def _numbers(key: str) -> tuple[int, int]:
    parts = key.rsplit("/", 2)[1:]
    if len(parts) == 2 and all(part.isascii() and part.isdigit() for part in parts):
        return int(parts[0]), int(parts[1])
    return 0, 0


def _complete_log() -> None:
    """Flush what the trainer printed, so that the log is complete before the result is known."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the user may have replaced or closed it
            stream.flush()


def _log(text: str) -> None:
    """Write to the log itself, below whatever the trainer made of `sys.stderr`."""
    _complete_log()
    rest = memoryview(text.encode())
    with contextlib.suppress(OSError):  # nobody reads the log any more
        while rest:
            rest = rest[os.write(2, rest) :]
