"""An attempt in flight: what it was asked, who hears of it, and its one ending."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from hpo_executors.local.triallog import TrialLog
from hpo_handler.contract import (
    ContractError,
    Job,
    JobReport,
    JobResult,
    JobStage,
    JobStarted,
    Trainer,
    dump_job,
)
from hpocli.spi import (
    ExecutorError,
    ExecutorRejected,
    FailureClass,
    JsonScalar,
    Report,
    ReportCallback,
    Reported,
    StageChanged,
    Started,
    Submitted,
    TrialError,
    TrialRequest,
    TrialResult,
)

Ending = TrialResult | ExecutorError

_log = logging.getLogger(__name__)


class Trial:
    """One attempt between `submit_trial` and its ending. Belongs to the pool's thread.

    line: the job as the process reads it. ends_at: when it is killed (monotonic seconds).
    on_end is called with the key just before the future ends, so that whoever waits for it finds
    the slot free.
    """

    def __init__(
        self,
        request: TrialRequest,
        line: bytes,
        on_report: ReportCallback,
        on_end: Callable[[str], None],
    ) -> None:
        self.request = request
        self.key = request.key
        self.line = line
        self.future: Future[TrialResult] = Future()
        self.future.set_running_or_notify_cancel()  # from here on only we can end it
        self.ends_at = math.inf
        self.cancelling = False
        self.log = TrialLog(None)
        self._on_report = on_report
        self._on_end = on_end
        self._worker = ""

    def open_log(self) -> None:
        """Start the log in the trial's folder, where it has one."""
        folder = self.request.workdir
        if folder is not None:
            self.log = TrialLog(folder / "log.txt", attempt=self.request.attempt)

    def submitted(self, pid: int, worker: str) -> None:
        """Announce that the process `pid` has taken the job."""
        self._worker = worker
        self._announce(Submitted(key=self.key, ref=f"pid:{pid}"))

    def progressed(self, message: JobStarted | JobStage | JobReport) -> None:
        """Announce what the trial process said."""
        self._announce(_as_report(message, self._worker))

    def end(self, ending: Ending) -> None:
        """End the attempt, once: close its log, free its slot and wake whoever waits."""
        self.log.close()
        self._on_end(self.key)
        if isinstance(ending, TrialResult):
            self.future.set_result(ending)
        else:
            self.future.set_exception(ending)

    def cancelled(self) -> TrialResult:
        """Return the result of an attempt that was ended because somebody asked for it."""
        return TrialResult(key=self.key, state="cancelled", worker=self._worker)

    def failed(self, failure: FailureClass, message: str) -> TrialResult:
        """Return the result of an attempt that was killed for what it did."""
        error = TrialError(failure=failure, message=message, fingerprint=f"local:{failure}")
        return TrialResult(key=self.key, state="failed", error=error, worker=self._worker)

    def result(self, message: JobResult) -> TrialResult:
        """Return what the trial process answered, as the host's result."""
        return _as_result(message, self._worker)

    def _announce(self, report: Report) -> None:
        try:
            self._on_report(report)
        except Exception:  # noqa: BLE001 - the trial goes on
            _log.exception("a report of trial %s was not taken", self.key)


def job_line(request: TrialRequest, *, gpus: int) -> bytes:
    """Return the request as the trial process reads it.

    Raises ExecutorRejected where it does not fit the wire.
    """
    trainer = request.trainer
    try:
        return dump_job(
            Job(
                key=request.key,
                trainer=Trainer(
                    kind=trainer.kind,
                    name=trainer.name,
                    command=trainer.command,
                    pythonpath=trainer.pythonpath,
                ),
                params=dict(request.params),
                settings=dict(request.settings),
                objectives=request.objectives,
                seed=request.seed,
                deadline_s=request.deadline_s,
                gpus=gpus,
                workdir=str(request.workdir.absolute()) if request.workdir else None,
            )
        )
    except ContractError as error:
        raise ExecutorRejected(
            f"trial {request.key} cannot be sent to a trial process: {error}",
            hint="keep parameters and settings small, plain JSON values",
        ) from None


def _as_report(message: JobStarted | JobStage | JobReport, worker: str) -> Report:
    if isinstance(message, JobStarted):
        return Started(key=message.key, worker=worker, info=_scalars(message.info))
    if isinstance(message, JobStage):
        return StageChanged(key=message.key, stage=message.stage)
    return Reported(
        key=message.key,
        step=message.step,
        value=message.value,
        total_steps=message.total_steps,
        metrics=message.metrics,
    )


def _as_result(message: JobResult, worker: str) -> TrialResult:
    error = message.error if message.state == "failed" else None
    return TrialResult(
        key=message.key,
        state=message.state,
        metrics=message.metrics,
        error=None
        if error is None
        else TrialError(
            failure=FailureClass(error.failure),
            message=error.message,
            detail=error.detail,
            fingerprint=error.fingerprint,
        ),
        health=message.health,
        duration_s=message.duration_s,
        fit_s=message.fit_s,
        worker=worker,
        artifacts=message.artifacts,
        info=_scalars(message.info),
    )


def _scalars(info: Mapping[str, Any]) -> dict[str, JsonScalar]:
    return {k: v for k, v in info.items() if v is None or isinstance(v, str | int | float | bool)}
