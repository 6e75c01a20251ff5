"""Turning what an executor hands back into the event that records it; nothing in it is trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hpocli.events import AttemptEnded
from hpocli.flight import Flight
from hpocli.logs import redact
from hpocli.spi import ExecutorError, FailureClass, TrialError, TrialResult

MAX_MESSAGE = 2000


def lost(key: str, message: str) -> TrialResult:
    """Return the result of an attempt that vanished."""
    return _failure(key, FailureClass.LOST, message)


def broken(key: str, error: BaseException) -> TrialResult:
    """Return the result of an attempt whose future raised; an unknown error counts as lost."""
    if isinstance(error, ExecutorError):
        return _failure(key, error.failure, error.message)
    return _failure(key, FailureClass.LOST, f"the executor raised {type(error).__name__}: {error}")


def _failure(key: str, failure: FailureClass, message: str) -> TrialResult:
    return TrialResult(key=key, state="failed", error=TrialError(failure=failure, message=message))


def attempt_ended(flight: Flight, result: TrialResult, objectives: Sequence[str]) -> AttemptEnded:
    """Return the event: finite numbers only, text bounded and free of secrets.

    A non-finite objective makes the attempt a failure of class diverged.
    """
    bad = [name for name in objectives if not math.isfinite(result.metrics.get(name, 0.0))]
    state, error = result.state, result.error
    if bad and state == "completed":
        message = f"{bad[0]} is {result.metrics[bad[0]]}"
        state, error = "failed", TrialError(failure=FailureClass.DIVERGED, message=message)
    if state == "failed" and error is None:
        error = TrialError(failure=FailureClass.LOST, message="failed without saying why")
    return AttemptEnded(
        trial=flight.number,
        attempt=flight.attempt,
        state=state,
        metrics=_finite(result.metrics),
        health=_finite(result.health),
        failure=error.failure if error else "",
        message=redact(error.message)[:MAX_MESSAGE] if error else "",
        fingerprint=error.fingerprint if error else "",
        duration_s=result.duration_s,
        fit_s=result.fit_s,
        worker=result.worker,
        artifacts=result.artifacts,
    )


def _finite(numbers: Mapping[str, float]) -> dict[str, float]:
    return {str(k): float(v) for k, v in numbers.items() if math.isfinite(v)}
