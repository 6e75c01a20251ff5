"""The wire between a client and a trial process: one JSON object in, JSON lines out.

Version 1. The client writes one job line, later perhaps one stop line, to the process:

    {"type":"job","v":1,"key":"<sweep>/<trial>/<attempt>","trainer":{...},"params":{...},
     "settings":{...},"objectives":["val_accuracy"],"seed":7,"deadline_s":600,"gpus":0,
     "workdir":"/path or null"}
    {"type":"stop","key":"..."}

and the process answers with lines, in order, the result last:

    {"type":"ready","v":1,"pid":123}                                  once, when jobs can come
    {"type":"started","key":...,"info":{...}}
    {"type":"stage","key":...,"stage":"training"}
    {"type":"report","key":...,"step":0,"value":0.5,"total_steps":10,"metrics":{...}}
    {"type":"result","key":...,"state":"completed","metrics":{...},...}

Everything that comes over the wire is checked here: size, type, finiteness. Standard library only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

CONTRACT_VERSION = 1
MAX_JOB_BYTES = 256 * 1024
MAX_LINE_BYTES = 256 * 1024
MAX_METRICS = 1000
MAX_TEXT = 8 * 1024

State = Literal["completed", "pruned", "failed", "cancelled"]
STATES: tuple[State, ...] = ("completed", "pruned", "failed", "cancelled")
FAILURES = ("user", "diverged", "oom", "timeout", "lost", "rejected")


class ContractError(ValueError):
    """A message that breaks the contract; the text says how and is safe to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """What trains: `kind` builtin, function or command (see `hpocli.spi.TrainerRef`)."""

    kind: Literal["builtin", "function", "command"]
    name: str
    command: tuple[str, ...] = ()
    pythonpath: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt at one trial, complete."""

    key: str
    trainer: Trainer
    params: Mapping[str, Any]
    settings: Mapping[str, Any]
    objectives: tuple[str, ...]
    seed: int
    deadline_s: float | None = None
    gpus: int = 0
    workdir: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why a trial failed: `failure` is one of FAILURES; `fingerprint` is equal for equal causes."""

    failure: str
    message: str
    detail: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """How an attempt ended. All numbers are finite; see `hpocli.spi.TrialResult`."""

    key: str
    state: State
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: JobError | None = None
    health: Mapping[str, float] = field(default_factory=dict)
    duration_s: float | None = None
    fit_s: float | None = None
    artifacts: tuple[str, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The process can take a job."""

    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted:
    """The job was taken; `info` tells versions and device."""

    key: str
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStage:
    """The job entered a stage."""

    key: str
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """An intermediate value of the first objective at `step` (0-based, growing)."""

    key: str
    step: int
    value: float
    total_steps: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


Message = Ready | JobStarted | JobStage | JobReport | JobResult
_TYPES: dict[type[Any], str] = {
    Ready: "ready",
    JobStarted: "started",
    JobStage: "stage",
    JobReport: "report",
    JobResult: "result",
}


def dump(message: Message) -> bytes:
    """Return the message as one line. Raises ContractError where it breaks the contract."""
    body: dict[str, Any] = {"type": _TYPES[type(message)], "v": CONTRACT_VERSION}
    body |= {k: v for k, v in asdict(message).items() if v not in (None, {}, ())}
    return _line(body)


def dump_job(job: Job) -> bytes:
    """Return the job as one line. Raises ContractError where it is too large or not JSON."""
    return _line({"type": "job", "v": CONTRACT_VERSION, **asdict(job)})


def dump_stop(key: str) -> bytes:
    """Return the line that asks for an early end of job `key`."""
    return _line({"type": "stop", "v": CONTRACT_VERSION, "key": key})


def _line(body: Mapping[str, Any]) -> bytes:
    try:
        line = json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise ContractError(f"not plain, finite JSON: {error}") from None
    if len(line) > MAX_LINE_BYTES:
        raise ContractError(f"{len(line)} bytes; at most {MAX_LINE_BYTES} fit in a message")
    return line + b"\n"


def parse_object(line: bytes | str) -> dict[str, Any]:
    """Return one JSON object. Refuses what is too large, too deep, repeated or not finite."""
    if len(line) > MAX_LINE_BYTES:
        raise ContractError(f"a message of {len(line)} bytes; at most {MAX_LINE_BYTES} are read")
    try:
        value = json.loads(line, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except RecursionError:
        raise ContractError("nested too deeply") from None
    except ContractError:
        raise
    except ValueError as error:
        raise ContractError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ContractError("not a JSON object")
    return value


def _refuse_constant(name: str) -> float:
    raise ContractError(f"{name} is not a finite number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ContractError("a key is given twice in one object")
    return found


def parse_job(line: bytes | str) -> Job:
    """Read and check a job line."""
    raw = parse_object(line)
    if raw.get("v") != CONTRACT_VERSION:
        raise ContractError(
            f"contract version {raw.get('v')!r}; this side speaks {CONTRACT_VERSION}"
        )
    trainer = _mapping(raw, "trainer")
    kind = trainer.get("kind")
    if kind not in ("builtin", "function", "command"):
        raise ContractError("trainer.kind must be builtin, function or command")
    deadline = raw.get("deadline_s")
    workdir = raw.get("workdir")
    return Job(
        key=_text(raw, "key"),
        trainer=Trainer(
            kind=kind,
            name=_text(trainer, "name"),
            command=_texts(trainer, "command"),
            pythonpath=_texts(trainer, "pythonpath"),
        ),
        params=_mapping(raw, "params"),
        settings=_mapping(raw, "settings"),
        objectives=_texts(raw, "objectives"),
        seed=_integer(raw, "seed"),
        deadline_s=None if deadline is None else _number(deadline, "deadline_s"),
        gpus=_integer(raw, "gpus"),
        workdir=None if workdir is None else _text(raw, "workdir"),
    )


def parse_message(line: bytes | str) -> Message:
    """Read and check a line that a trial process wrote."""
    raw = parse_object(line)
    kind = raw.get("type")
    if kind == "ready":
        if raw.get("v") != CONTRACT_VERSION:
            raise ContractError(f"the process speaks contract version {raw.get('v')!r}")
        return Ready(pid=_integer(raw, "pid"))
    if kind == "started":
        return JobStarted(key=_text(raw, "key"), info=_mapping(raw, "info"))
    if kind == "stage":
        return JobStage(key=_text(raw, "key"), stage=_text(raw, "stage"))
    if kind == "report":
        total = raw.get("total_steps")
        return JobReport(
            key=_text(raw, "key"),
            step=_integer(raw, "step"),
            value=_number(raw.get("value"), "value"),
            total_steps=None if total is None else _integer(raw, "total_steps"),
            metrics=numbers(_mapping(raw, "metrics"), "metrics"),
        )
    if kind == "result":
        return _parse_result(raw)
    raise ContractError(f"unknown message type {str(kind)[:40]!r}")


def _parse_result(raw: dict[str, Any]) -> JobResult:
    state = raw.get("state")
    if state not in STATES:
        raise ContractError(f"unknown result state {str(state)[:40]!r}")
    error = _mapping(raw, "error")
    if state == "failed" and error.get("failure") not in FAILURES:
        raise ContractError("a failed result needs an error with a failure class")
    duration, fit = raw.get("duration_s"), raw.get("fit_s")
    return JobResult(
        key=_text(raw, "key"),
        state=state,
        metrics=numbers(_mapping(raw, "metrics"), "metrics"),
        error=None
        if not error
        else JobError(
            failure=_text(error, "failure"),
            message=_text(error, "message")[:MAX_TEXT],
            detail=str(error.get("detail", ""))[:MAX_TEXT],
            fingerprint=str(error.get("fingerprint", ""))[:64],
        ),
        health=numbers(_mapping(raw, "health"), "health"),
        duration_s=None if duration is None else _number(duration, "duration_s"),
        fit_s=None if fit is None else _number(fit, "fit_s"),
        artifacts=_texts(raw, "artifacts"),
        info=_mapping(raw, "info"),
    )


def numbers(raw: Mapping[str, Any], what: str) -> dict[str, float]:
    """Return `raw` as finite floats by name. Raises ContractError naming the bad entry."""
    if len(raw) > MAX_METRICS:
        raise ContractError(f"{len(raw)} {what}; at most {MAX_METRICS} are taken")
    return {str(name): _number(value, f"{what}.{name}") for name, value in raw.items()}


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ContractError(f"{what[:60]} must be a number, not {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        raise ContractError(f"{what[:60]} is too large") from None
    if not math.isfinite(number):
        raise ContractError(f"{what[:60]} is not finite")
    return number


def _integer(raw: Mapping[str, Any], name: str) -> int:
    value = raw.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**53:
        raise ContractError(f"{name} must be an integer")
    return value


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not value:
        raise ContractError(f"{name} must be text")
    return value


def _texts(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = raw.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ContractError(f"{name} must be a list of texts")
    return tuple(value)


def _mapping(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = raw.get(name, {})
    if not isinstance(value, dict):
        raise ContractError(f"{name} must be an object")
    return value
