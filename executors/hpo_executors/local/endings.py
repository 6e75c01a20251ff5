"""What is said of a trial, or a process, that did not end by itself."""

from __future__ import annotations

import signal

from hpo_executors.local.trial import Trial
from hpo_executors.local.worker import Worker
from hpocli.spi import (
    ExecutorError,
    ExecutorRejected,
    ExecutorUnavailable,
    FailureClass,
    TrialLost,
    TrialResult,
)

_OOM_HINT = (
    "the system's out-of-memory killer is the usual cause: "
    "use fewer concurrent_workers, smaller models or batches, or set worker_memory_mb"
)
_LOG_HINT = "its last words are in log.txt in the trial's folder"


def manner(status: int | None) -> str:
    """Put an exit status into words, e.g. `was killed by SIGKILL`."""
    if status is None:
        return "was killed and is stuck in the kernel"
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def lost(worker: Worker, how: str, *, status: int | None = None) -> TrialLost:
    """Say how the process came to an end in the middle of its trial."""
    hint = _OOM_HINT if status == -signal.SIGKILL else _LOG_HINT
    return TrialLost(f"the trial process {worker.name} (pid {worker.pid}) {how}", hint=hint)


def not_started(how: str, *, words: str = "", retry: bool) -> ExecutorError:
    """Say why a process never took a trial; `retry` where that may change by itself."""
    message = f"a trial process {how} before it was ready"
    if retry:
        return ExecutorUnavailable(message + (f": {words}" if words else ""))
    return ExecutorRejected(
        f"{message}: {words or 'it printed nothing'}",
        hint="`python -m hpo_handler.process` must start with this Python",
    )


def cannot_start(error: OSError) -> ExecutorError:
    """Say why the system started no process: for good where there is no such program."""
    message = f"no trial process can be started: {error.strerror}"
    if isinstance(error, FileNotFoundError | PermissionError):
        return ExecutorRejected(message, hint="is this Python installation still in place?")
    return ExecutorUnavailable(message)


def timed_out(trial: Trial) -> TrialResult:
    """End a trial that neither finished nor stopped by its deadline."""
    after = f"the trial was killed: it was still running after {trial.request.deadline_s:g} s"
    return trial.failed(FailureClass.TIMEOUT, after)


def out_of_memory(trial: Trial, used_mb: int, bound_mb: int) -> TrialResult:
    """End a trial whose processes outgrew the bound."""
    grown = f"the trial was killed: it used {used_mb} MiB, more than worker_memory_mb={bound_mb}"
    return trial.failed(FailureClass.OOM, grown)


def closed() -> TrialLost:
    """End a trial that was still running when the executor was closed."""
    return TrialLost("the local executor was closed", hint="`hpo resume` runs the trial again")
