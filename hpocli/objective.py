"""From what a trial measured to the values the study is told."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hpocli.config import SweepConfig
from hpocli.spi import FailureClass, TrialError

OVERALL_HEALTH = "overall_health"


class ObjectiveError(Exception):
    """The trial's metrics do not give the objective values; `error` says why."""

    def __init__(self, error: TrialError) -> None:
        super().__init__(error.message)
        self.error = error


def objective_values(
    config: SweepConfig, metrics: Mapping[str, float], health: Mapping[str, float]
) -> tuple[float, ...]:
    """Return one finite value for each objective, in order.

    With `mode=health` and a single objective that is not itself a health score the value is
    `(1 - w) * value + w * health` when it is maximised and `(1 - w) * value + w * (1 - health)`
    when it is minimised, where w is `health_weight` and health the overall score in [0, 1].
    Raises ObjectiveError for a missing or non-finite value.
    """
    values = tuple(_value(name, metrics, health) for name in config.objectives)
    weigh = config.mode == "health" and len(values) == 1 and config.objectives[0] not in health
    if not weigh:
        return values
    score = _value(OVERALL_HEALTH, metrics, health)
    if config.directions[0] == "minimize":
        score = 1.0 - score
    return ((1.0 - config.health_weight) * values[0] + config.health_weight * score,)


def _value(name: str, metrics: Mapping[str, float], health: Mapping[str, float]) -> float:
    value = metrics.get(name, health.get(name))
    if value is None:
        known = ", ".join(sorted({*metrics, *health})[:8]) or "nothing"
        raise ObjectiveError(
            TrialError(
                failure=FailureClass.USER,
                message=f"the trial did not report the objective {name!r}; it reported {known}",
                fingerprint=f"missing objective {name}",
            )
        )
    if not math.isfinite(value):
        raise ObjectiveError(
            TrialError(failure=FailureClass.DIVERGED, message=f"{name} is {value}")
        )
    return float(value)


def is_better(direction: str, value: float, than: float) -> bool:
    """Say whether `value` beats `than` in this direction."""
    return value > than if direction == "maximize" else value < than
