"""What follows from how an attempt ended: the failure classes' one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal

from hpocli.config import SweepConfig
from hpocli.events import AttemptEnded
from hpocli.objective import ObjectiveError, objective_values
from hpocli.spi import FailureClass


class Action(Enum):
    """What the scheduler does next with the trial."""

    TELL = auto()  # the trial ends here
    RETRY = auto()  # the same trial again; counts against its retries
    PUT_BACK = auto()  # the same trial again some time; counts against nothing
    REJECT = auto()  # no attempt can succeed on this executor


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The action and, for TELL, everything there is to tell."""

    action: Action
    state: Literal["completed", "pruned", "failed"] = "failed"
    values: tuple[float, ...] = ()
    failure: str = ""
    message: str = ""
    fingerprint: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


def judge(
    config: SweepConfig, outcome: AttemptEnded, cancelling: str, retries: Mapping[str, int]
) -> Verdict:
    """Decide from the outcome, the reason it was cancelled for (or ""), and the retries so far.

    A result that completed counts even where its end had been asked for: it is paid and it is true.
    Not so in a reproducible sweep: there the pruner's decision stands, because whether a trial
    still completes after it depends on timing.
    """
    stands = config.reproducible and cancelling == "pruned"
    if outcome.state == "completed" and not stands:
        return _completed(config, outcome)
    if cancelling == "pruned" or outcome.state == "pruned":
        return Verdict(action=Action.TELL, state="pruned", metrics=outcome.metrics)
    if cancelling == "timeout":
        limit = config.trial_timeout_s
        return Verdict(
            action=Action.TELL,
            failure=FailureClass.TIMEOUT,
            message=f"the trial did not end within trial_timeout={limit:g} s",
        )
    if cancelling and outcome.failure in ("", FailureClass.LOST, FailureClass.TIMEOUT):
        return Verdict(action=Action.PUT_BACK)
    return _failed(config, outcome, retries)


def _completed(config: SweepConfig, outcome: AttemptEnded) -> Verdict:
    try:
        values = objective_values(config, outcome.metrics, outcome.health)
    except ObjectiveError as wrong:
        return Verdict(
            action=Action.TELL,
            failure=wrong.error.failure,
            message=wrong.error.message,
            fingerprint=wrong.error.fingerprint,
        )
    return Verdict(action=Action.TELL, state="completed", values=values, metrics=outcome.metrics)


def _failed(config: SweepConfig, outcome: AttemptEnded, retries: Mapping[str, int]) -> Verdict:
    failure = outcome.failure or FailureClass.LOST
    allowed = {FailureClass.LOST: config.retries.lost, FailureClass.OOM: config.retries.oom}
    if failure == FailureClass.REJECTED:
        action = Action.REJECT
    elif retries.get(failure, 0) < allowed.get(FailureClass(failure), 0):
        action = Action.RETRY
    else:
        action = Action.TELL
    return Verdict(
        action=action,
        failure=failure,
        message=outcome.message,
        fingerprint=outcome.fingerprint or outcome.message,
    )
