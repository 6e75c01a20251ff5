"""What a trainer returned, read as objectives and metrics; every refusal says what to return."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hpo_handler.context import MAX_METRICS, Outcome, TrialDiverged
from hpo_handler.failures import TrialError


def read_outcome(returned: object, objectives: tuple[str, ...]) -> Outcome:
    """Return the outcome with every objective as a finite float.

    Accepted: an `Outcome`; a mapping by name, with further metrics; a sequence in the order of the
    objectives; one number where there is one objective. Numbers may be numpy's or a framework's.
    Raises TrialError naming the objective, TrialDiverged where one is NaN or infinite.
    """
    if isinstance(returned, Outcome):
        return Outcome(
            metrics=_by_name(returned.metrics, objectives),
            health=_finite(returned.health, "health"),
            fit_s=returned.fit_s if _is_finite(returned.fit_s) else None,
            artifacts=tuple(returned.artifacts),
            info=dict(returned.info),
        )
    if isinstance(returned, Mapping):
        return Outcome(metrics=_by_name(returned, objectives))
    values = _as_sequence(returned)
    if values is not None:
        return Outcome(metrics=_in_order(values, objectives))
    return Outcome(metrics=_single(returned, objectives))


def wanted(objectives: tuple[str, ...]) -> str:
    """Return what a trainer should return, in words."""
    if len(objectives) == 1:
        return f"return one number, or a dict with {objectives[0]!r}"
    names = ", ".join(objectives)
    return f"return {len(objectives)} numbers in the order ({names}), or a dict with these names"


def _by_name(returned: Mapping[Any, object], objectives: tuple[str, ...]) -> dict[str, float]:
    for name in objectives:
        if name not in returned:
            raise TrialError(f"the trainer returned no {name!r}; {wanted(objectives)}")
    if len(returned) > MAX_METRICS:
        raise TrialError(f"the trainer returned {len(returned)} metrics; at most {MAX_METRICS} fit")
    chosen = {name: _objective(returned[name], name, objectives) for name in objectives}
    rest = {str(k): v for k, v in returned.items() if k not in chosen}
    return chosen | _finite(rest, "metric")


def _in_order(values: Sequence[object], objectives: tuple[str, ...]) -> dict[str, float]:
    if len(values) != len(objectives):
        problem = (
            f"nothing for {objectives[len(values)]!r}"
            if len(values) < len(objectives)
            else f"{len(values) - len(objectives)} more than the sweep's objectives"
        )
        raise TrialError(
            f"the trainer returned {len(values)} values, {problem}; {wanted(objectives)}"
        )
    pairs = zip(objectives, values, strict=True)
    return {name: _objective(value, name, objectives) for name, value in pairs}


def _single(returned: object, objectives: tuple[str, ...]) -> dict[str, float]:
    if len(objectives) != 1:
        raise TrialError(
            f"the trainer returned one {type(returned).__name__}, nothing for "
            f"{objectives[-1]!r}; {wanted(objectives)}"
        )
    return {objectives[0]: _objective(returned, objectives[0], objectives)}


def _objective(value: object, name: str, objectives: tuple[str, ...]) -> float:
    number = _to_float(value)
    if number is None:
        raise TrialError(
            f"the objective {name!r} must be a number, not {type(value).__name__}; "
            f"{wanted(objectives)}"
        )
    if not math.isfinite(number):
        raise TrialDiverged(f"the objective {name!r} is {number}")
    return number


def _finite(raw: Mapping[Any, object], what: str) -> dict[str, float]:
    """Return the finite numbers; what is NaN is left out, what is no number is refused."""
    found: dict[str, float] = {}
    for name, value in raw.items():
        number = _to_float(value)
        if number is None:
            kind = type(value).__name__
            raise TrialError(f"the {what} {str(name)[:60]!r} must be a number, not {kind}")
        if math.isfinite(number):
            found[str(name)] = number
    return found


def _to_float(value: Any) -> float | None:
    if isinstance(value, str | bytes) or not (
        hasattr(value, "__float__") or hasattr(value, "__index__")
    ):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return None


def _as_sequence(value: Any) -> Sequence[object] | None:
    if isinstance(value, tuple | list):
        return value
    if getattr(value, "ndim", 0) == 1 and hasattr(value, "tolist"):
        found = value.tolist()
        return found if isinstance(found, list) else None
    return None


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
