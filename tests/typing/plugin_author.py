"""A plugin as a stranger would write it; `mypy --strict` checks it, and a test runs it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Annotated

import typer

from hpocli.spi import (
    Executor,
    ExecutorContext,
    ExecutorSpec,
    Health,
    ReportCallback,
    Reported,
    Started,
    Submitted,
    TrialRequest,
    TrialResult,
    hookimpl,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MineOptions:
    """Options of `hpo run mine`."""

    bonus: Annotated[float, typer.Option(help="Added to every value.")] = 0.0


class MineExecutor(Executor):
    """Runs a sum of the parameters, at once, in the caller's thread."""

    def __init__(self, options: MineOptions, context: ExecutorContext) -> None:
        self._bonus = options.bonus
        self._capacity = context.concurrent_workers

    def submit_trial(self, request: TrialRequest, on_report: ReportCallback) -> Future[TrialResult]:
        """Do the whole trial before returning."""
        value = sum(v for v in request.params.values() if isinstance(v, int | float)) + self._bonus
        on_report(Submitted(key=request.key, ref=request.key))
        on_report(Started(key=request.key, worker="mine"))
        on_report(Reported(key=request.key, step=0, value=value, total_steps=1))
        future: Future[TrialResult] = Future()
        metrics = dict.fromkeys(request.objectives, value)
        future.set_result(TrialResult(key=request.key, state="completed", metrics=metrics))
        return future

    def cancel(self, trial_key: str) -> None:
        """Nothing is ever left to cancel."""

    def health(self) -> Health:
        """Always ready."""
        return Health(ok=True, capacity=self._capacity)

    def close(self) -> None:
        """Nothing to end."""


def build(options: MineOptions, context: ExecutorContext) -> Executor:
    """Make the executor that `hpo run mine` uses."""
    return MineExecutor(options, context)


@hookimpl
def hpo_register_executors() -> Sequence[ExecutorSpec]:
    """Offer `hpo run mine`."""
    return [ExecutorSpec(name="mine", help="Adds numbers.", options=MineOptions, build=build)]
