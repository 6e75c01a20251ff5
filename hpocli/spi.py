"""What plugin authors import: the messages, the `Executor` contract and the failure classes.

Everything exported here is stable: names are pinned by a test. Messages are frozen; nothing in
them is shared with the scheduler, so they may cross threads freely.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pluggy

hookimpl = pluggy.HookimplMarker("hpocli")

JsonScalar = str | int | float | bool | None
TrialState = Literal["completed", "pruned", "failed", "cancelled"]


class FailureClass(StrEnum):
    """Why a trial or a platform failed; the class alone decides what happens next."""

    USER = "user"  # the objective raised: told FAIL, never retried
    DIVERGED = "diverged"  # NaN or infinite objective: told FAIL, never retried
    OOM = "oom"  # out of memory: told FAIL, with a hint
    TIMEOUT = "timeout"  # the trial's own deadline passed: told FAIL
    LOST = "lost"  # worker vanished, result lost: the same trial again, next attempt
    UNAVAILABLE = "unavailable"  # the platform refuses for now: put back, back off
    REJECTED = "rejected"  # the platform will never accept it: stop the sweep, with a hint


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerRef:
    """What trains: a registered trainer, a Python callable, or a command.

    kind: "builtin" (`name` is a registered trainer), "function" (`name` is
    `package.module:callable`, found on `pythonpath`), or "command" (`command` is an argument
    template).
    """

    kind: Literal["builtin", "function", "command"]
    name: str
    command: tuple[str, ...] = ()
    pythonpath: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one trial may use on its worker. `gpus` 0 means CPU only."""

    gpus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRequest:
    """One attempt at one trial, complete: an executor needs nothing else to run it.

    key: `sweep_uid/trial/attempt`, unique for ever; executors deduplicate and cancel by it.
    params: the proposed parameters. settings: the trainer's own settings (dataset, epochs, ...),
    JSON values only. objectives: names of the objective values, in order.
    seed: in [0, 2**32), the same for this trial on every executor.
    deadline_s: seconds the attempt may run, or None. workdir: the trial's folder on the client's
    machine, for logs and artifacts, or None where there is none.
    """

    key: str
    sweep_uid: str
    trial: int
    attempt: int
    trainer: TrainerRef
    params: Mapping[str, JsonScalar]
    settings: Mapping[str, Any]
    objectives: tuple[str, ...]
    seed: int
    deadline_s: float | None = None
    resources: Resources = field(default_factory=Resources)
    workdir: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The other side has taken the job; `ref` is enough for `attach` in a later process."""

    key: str
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The trial has begun on `worker` (a short, stable name such as `w0` or a worker id)."""

    key: str
    worker: str
    info: Mapping[str, JsonScalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageChanged:
    """The trial entered a stage, e.g. `importing`, `loading data`, `training`, `evaluating`."""

    key: str
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """An intermediate value: `step` counts from 0 and grows; `value` is of the first objective.

    total_steps: how many steps the trial means to make, where it knows.
    metrics: further finite numbers of the same step.
    """

    key: str
    step: int
    value: float
    total_steps: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


Report = Submitted | Started | StageChanged | Reported
ReportCallback = Callable[[Report], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialError:
    """Why a trial ended badly. `fingerprint` is equal for errors of the same origin."""

    failure: FailureClass
    message: str
    detail: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """How an attempt ended.

    state: `completed` carries every objective in `metrics`; `pruned` means the trial ended itself
    early; `cancelled` answers `Executor.cancel`; `failed` carries `error`.
    metrics: finite numbers by name. health: numbers in [0, 1] by name, higher is healthier.
    duration_s: wall time of the trial on its worker. fit_s: the part spent in training itself.
    artifacts: names of files in the trial's folder. info: worker facts (versions, device).
    """

    key: str
    state: TrialState
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: TrialError | None = None
    health: Mapping[str, float] = field(default_factory=dict)
    duration_s: float | None = None
    fit_s: float | None = None
    worker: str = ""
    artifacts: tuple[str, ...] = ()
    info: Mapping[str, JsonScalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether trials can be taken now. `capacity` bounds those in flight (None: not known)."""

    ok: bool
    capacity: int | None = None
    detail: str = ""


class ExecutorError(Exception):
    """A platform failure, raised by `submit_trial` or set on its future."""

    failure: FailureClass = FailureClass.LOST

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class TrialLost(ExecutorError):  # noqa: N818 - names what happened, as the contract does
    """The worker vanished, the result was lost or the job expired."""


class ExecutorUnavailable(ExecutorError):  # noqa: N818 - same reason
    """The platform cannot take the trial now; provably nothing was started.

    retry_after_s: seconds the platform asked to wait, where it said so.
    """

    failure = FailureClass.UNAVAILABLE

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class ExecutorRejected(ExecutorError):  # noqa: N818 - same reason
    """The platform will never take this trial: bad credentials, endpoint, payload or contract."""

    failure = FailureClass.REJECTED


class Executor(ABC):
    """Runs trials somewhere. Every method may be called from any thread.

    `billed` executors cost money: the scheduler makes its log durable before each submission.
    `attaches` executors can take up jobs of an earlier process through `attach`.
    """

    billed: bool = False
    attaches: bool = False

    @abstractmethod
    def submit_trial(self, request: TrialRequest, on_report: ReportCallback) -> Future[TrialResult]:
        """Start one attempt and return at once.

        The future always ends, with a result or an `ExecutorError`, and wakes whoever waits.
        Reports arrive in order and before the result. Raises ExecutorUnavailable or
        ExecutorRejected where that is known at once.
        """

    def attach(
        self, ref: str, request: TrialRequest, on_report: ReportCallback
    ) -> Future[TrialResult]:
        """Take up a job that an earlier process submitted as `ref`.

        Ends like `submit_trial`; a job that is gone ends with TrialLost.
        """
        del ref, request, on_report
        lost: Future[TrialResult] = Future()
        lost.set_exception(TrialLost("this executor cannot take up earlier jobs"))
        return lost

    @abstractmethod
    def cancel(self, trial_key: str) -> None:
        """Ask for an early end and return at once; an unknown or ended key is ignored."""

    @abstractmethod
    def health(self) -> Health:
        """Say within a second whether trials can be taken."""

    @abstractmethod
    def close(self) -> None:
        """End everything; idempotent. Afterwards nothing runs and no future is pending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorContext:
    """What the host tells an executor when it is built.

    concurrent_workers: the most trials that will be in flight. run_dir: the run folder.
    """

    concurrent_workers: int
    run_dir: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorSpec:
    """Describes an executor; the host generates `hpo run <name>` from it.

    options: a frozen dataclass whose fields are `Annotated[T, typer.Option(help=...)]` with
    defaults; field names share one flat space with the sweep file's keys.
    build: turns options and context into an executor; heavy imports happen inside it.
    """

    name: str
    help: str
    options: type[Any]
    build: Callable[[Any, ExecutorContext], Executor]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveSpec:
    """An objective that a trainer measures. `kind` "health" needs `mode=health`."""

    name: str
    direction: Literal["maximize", "minimize"]
    help: str = ""
    kind: Literal["metric", "health"] = "metric"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerSpec:
    """Describes a trainer: its search space (sweep-file form), settings and objectives.

    settings: default by name; a sweep file may set exactly these under `settings:`.
    """

    name: str
    help: str
    space: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    objectives: Sequence[ObjectiveSpec] = ()
    datasets: Sequence[str] = ()


__all__ = [
    "Executor",
    "ExecutorContext",
    "ExecutorError",
    "ExecutorRejected",
    "ExecutorSpec",
    "ExecutorUnavailable",
    "FailureClass",
    "Health",
    "JsonScalar",
    "ObjectiveSpec",
    "Report",
    "ReportCallback",
    "Reported",
    "Resources",
    "StageChanged",
    "Started",
    "Submitted",
    "TrainerRef",
    "TrainerSpec",
    "TrialError",
    "TrialLost",
    "TrialRequest",
    "TrialResult",
    "TrialState",
    "hookimpl",
]
