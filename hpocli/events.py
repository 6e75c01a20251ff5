"""What happens in a sweep, as typed events.

One event is one JSON line: the envelope (`v`, `seq`, `ts`, `t`, `event`) and the type's fields.
docs/events.md documents every field; a test holds the two together. The state of a run is
`fold(events)` (see `state`), so an event must carry all that a later reader needs.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hpocli.clock import isoformat
from hpocli.spi import JsonScalar

SCHEMA_VERSION = 1

EVENT_TYPES: dict[str, type[Event]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events; `name` is the word in the log."""

    name: ClassVar[str] = ""


def _event(cls: type[Event]) -> type[Event]:
    EVENT_TYPES[cls.name] = cls
    return cls


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A process took the run up, for the first time or again (`epoch` counts the processes)."""

    name: ClassVar[str] = "run_started"
    run: str
    uid: str
    epoch: int
    executor: str
    trials: int
    concurrent_workers: int
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    trainer: str
    sampler: str
    pruner: str
    seed: int
    version: str
    pid: int
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """This process is done with the run. `reason` is one sentence."""

    name: ClassVar[str] = "run_finished"
    exit_code: int
    reason: str
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInterrupted(Event):
    """A signal asked for the end; `policy` is drain, cancel, detach, or now (the second one)."""

    name: ClassVar[str] = "run_interrupted"
    signal: str
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCreated(Event):
    """The study proposed a trial. `source`: sampler, enqueued, or adopted (found on resume)."""

    name: ClassVar[str] = "trial_created"
    trial: int
    params: Mapping[str, JsonScalar]
    seed: int
    source: str = "sampler"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSubmitting(Event):
    """INTENT: the attempt is about to be submitted; on disk before the platform hears of it."""

    name: ClassVar[str] = "trial_submitting"
    trial: int
    attempt: int
    key: str
    executor: str
    reserved_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialWithdrawn(Event):
    """The submission was provably not processed; the attempt does not count."""

    name: ClassVar[str] = "trial_withdrawn"
    trial: int
    attempt: int
    failure: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSubmitted(Event):
    """ACKED: the platform has the job; `ref` finds it again."""

    name: ClassVar[str] = "trial_submitted"
    trial: int
    attempt: int
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted(Event):
    """A worker began the attempt."""

    name: ClassVar[str] = "trial_started"
    trial: int
    attempt: int
    worker: str
    info: Mapping[str, JsonScalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStage(Event):
    """The attempt entered a stage (importing, loading data, training, evaluating, ...)."""

    name: ClassVar[str] = "trial_stage"
    trial: int
    attempt: int
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReported(Event):
    """An intermediate value of the first objective at `step` (0-based)."""

    name: ClassVar[str] = "trial_reported"
    trial: int
    attempt: int
    step: int
    value: float
    total_steps: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCancelling(Event):
    """The executor was asked to end the attempt. `reason`: pruned, timeout, interrupt, stop."""

    name: ClassVar[str] = "trial_cancelling"
    trial: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded(Event):
    """RESULT: how the attempt ended, on disk before the study is told."""

    name: ClassVar[str] = "attempt_ended"
    trial: int
    attempt: int
    state: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    health: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""
    message: str = ""
    fingerprint: str = ""
    duration_s: float | None = None
    fit_s: float | None = None
    worker: str = ""
    artifacts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRetrying(Event):
    """The trial goes back to the queue as attempt `attempt`, after `delay_s` seconds."""

    name: ClassVar[str] = "trial_retrying"
    trial: int
    attempt: int
    failure: str
    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFinished(Event):
    """TOLD: the trial's one end. `state`: completed, pruned or failed."""

    name: ClassVar[str] = "trial_finished"
    trial: int
    state: str
    values: tuple[float, ...] = ()
    failure: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultIgnored(Event):
    """A late or second result arrived and was not told."""

    name: ClassVar[str] = "result_ignored"
    trial: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BestImproved(Event):
    """A single-objective sweep has a new best trial."""

    name: ClassVar[str] = "best_improved"
    trial: int
    value: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityChanged(Event):
    """The number of trials allowed in flight changed; `paused_s` > 0 means none for that long."""

    name: ClassVar[str] = "capacity_changed"
    limit: int
    cause: str
    paused_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Event):
    """Something a person should know that changes no trial's outcome."""

    name: ClassVar[str] = "warned"
    message: str


for _cls in Event.__subclasses__():
    _event(_cls)

_FIELD_NAMES = {
    cls: tuple(f.name for f in dataclasses.fields(cls)) for cls in Event.__subclasses__()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An event in its envelope: sequence number (1-based, gapless) and seconds since the epoch."""

    seq: int
    ts: float
    event: Event

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of the line."""
        body = {name: getattr(self.event, name) for name in _FIELD_NAMES[type(self.event)]}
        return {
            "v": SCHEMA_VERSION,
            "seq": self.seq,
            "ts": isoformat(self.ts),
            "t": self.ts,
            "event": self.event.name,
            **body,
        }

    def to_json(self) -> str:
        """Return one line of strict JSON without the line end.

        Raises ValueError where a number is not finite.
        """
        return _STRICT.encode(self.to_dict())


def _plain_mapping(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot go into the event log")


_STRICT = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_plain_mapping)


def parse_record(line: str | bytes) -> Record:
    """Read one line of the log.

    Fields a newer writer added are dropped. Raises ValueError for anything that is not a record.
    """
    raw = json.loads(line)
    if not isinstance(raw, dict) or not isinstance(raw.get("v"), int):
        raise ValueError("not an event record")  # noqa: TRY004 - callers catch one
    cls = EVENT_TYPES.get(str(raw.get("event")))
    if cls is None:
        raise ValueError(f"unknown event {raw.get('event')!r}")
    known = _FIELD_NAMES[cls]
    body = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items() if k in known}
    try:
        return Record(seq=int(raw["seq"]), ts=float(raw["t"]), event=cls(**body))
    except (KeyError, TypeError) as error:
        raise ValueError(f"incomplete event record: {error}") from error
