"""From our search space to Optuna's distributions, and back; which values fit."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)

from hpocli.errors import ConfigError
from hpocli.space import CategoricalParam, FloatParam, IntParam, Param, SearchSpace
from hpocli.spi import JsonScalar

if TYPE_CHECKING:
    import optuna

Point = dict[str, JsonScalar]


def distribution(param: Param) -> BaseDistribution:
    """Return Optuna's distribution; ConfigError where Optuna cannot search the parameter."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a `high` that no step reaches is lowered
            match param:
                case FloatParam():
                    return FloatDistribution(param.low, param.high, log=param.log, step=param.step)
                case IntParam():
                    return IntDistribution(param.low, param.high, log=param.log, step=param.step)
                case CategoricalParam():
                    return CategoricalDistribution(param.choices)
    except ValueError as error:
        raise ConfigError(f"parameter {param.name!r} cannot be searched: {error}") from None


def suggest(trial: optuna.Trial, param: Param, dist: BaseDistribution) -> None:
    """Let the sampler choose the parameter for this trial."""
    if isinstance(dist, FloatDistribution):
        trial.suggest_float(param.name, dist.low, dist.high, log=dist.log, step=dist.step)
    elif isinstance(dist, IntDistribution):
        trial.suggest_int(param.name, dist.low, dist.high, log=dist.log, step=dist.step)
    elif isinstance(dist, CategoricalDistribution):
        trial.suggest_categorical(param.name, dist.choices)


def plain(param: Param, value: JsonScalar) -> JsonScalar:
    """Return the value in the parameter's own Python type (samplers hand out NumPy's).

    One on a step loses the noise of its arithmetic: 0.3 instead of 0.30000000000000004.
    """
    match param:
        case FloatParam(step=None):
            return float(value)  # type: ignore[arg-type]  # a number, or `contains` was False
        case FloatParam():
            return float(f"{value:.12g}")
        case IntParam():
            return int(value)  # type: ignore[arg-type]  # same reason
        case CategoricalParam():
            return param.choices[param.choices.index(value)]


def plain_point(space: SearchSpace, params: Mapping[str, JsonScalar]) -> Point:
    """Return the searched parameters in the order of the space, each `plain`.

    Values that a changed space no longer has are kept as they are.
    """
    return {
        p.name: plain(p, params[p.name]) if contains(p, params[p.name]) else params[p.name]
        for p in space.params
        if p.name in params
    }


def contains(param: Param, value: JsonScalar) -> bool:
    """Say whether the parameter can take this value."""
    if isinstance(param, CategoricalParam):
        return value in param.choices
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if not param.low <= value <= param.high:
        return False
    if param.step is None:
        return True
    steps = (value - param.low) / param.step
    return abs(steps - round(steps)) < 1e-8


def choices(param: Param) -> tuple[JsonScalar, ...] | None:
    """Return every value the parameter can take, or None for a real number without a step."""
    match param:
        case CategoricalParam():
            return param.choices
        case IntParam():
            return tuple(range(param.low, param.high + 1, param.step))
        case FloatParam():
            return _float_choices(param.low, param.high, param.step)


def _float_choices(low: float, high: float, step: float | None) -> tuple[float, ...] | None:
    if step is None:
        return None if low < high else (low,)
    count = int((high - low) / step + 1e-8) + 1
    return tuple(float(f"{low + i * step:.12g}") for i in range(count))


def searched(space: SearchSpace, values: Mapping[str, JsonScalar]) -> Point | None:
    """Return the values of all active parameters, or None where one is missing or out of range."""
    point: Point = {}
    for param in space.params:
        if space.is_active(param, point):
            if param.name not in values or not contains(param, values[param.name]):
                return None
            point[param.name] = plain(param, values[param.name])
    return point


def is_complete(space: SearchSpace, params: Mapping[str, JsonScalar]) -> bool:
    """Say whether every active parameter has a value."""
    return all(p.name in params for p in space.params if space.is_active(p, params))


def check_point(space: SearchSpace, point: Mapping[str, JsonScalar]) -> Point:
    """Return the searched part of a point to try; it may leave parameters to the sampler.

    Raises ConfigError for a name that the space does not have and a value out of range.
    """
    params = {param.name: param for param in space.params}
    fixed = dict(space.fixed)
    checked: Point = {}
    for name, value in point.items():
        if name in params and contains(params[name], value):
            checked[name] = plain(params[name], value)
        elif name not in fixed or fixed[name] != value:
            raise _unfit(name, value, [*params, *fixed])
    return checked


def _unfit(name: str, value: JsonScalar, known: list[str]) -> ConfigError:
    if name in known:
        return ConfigError(f"enqueue: {name}={value!r} is not in the search space")
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the parameters are {', '.join(known)}"
    return ConfigError(f"enqueue: there is no parameter {name!r}", hint=hint)


def check_unchanged(
    dists: Mapping[str, BaseDistribution], trials: Iterable[optuna.trial.FrozenTrial]
) -> None:
    """Raise ConfigError where a parameter changed in a way that a study cannot take."""
    earlier: dict[str, BaseDistribution] = {}
    for trial in trials:
        for name, dist in trial.distributions.items():
            earlier.setdefault(name, dist)
    for name in earlier.keys() & dists.keys():
        try:
            check_distribution_compatibility(earlier[name], dists[name])
        except ValueError:
            raise ConfigError(
                f"parameter {name!r} was {_describe(earlier[name])} when the run began and is "
                f"{_describe(dists[name])} now; a run keeps its choices, types and scales",
                hint="set it back, or start a new run with warm_start",
            ) from None


def _describe(dist: BaseDistribution) -> str:
    if isinstance(dist, CategoricalDistribution):
        return "one of [" + ", ".join(str(choice) for choice in dist.choices) + "]"
    if isinstance(dist, FloatDistribution | IntDistribution):
        kind = "a float" if isinstance(dist, FloatDistribution) else "an int"
        return kind + (" on a log scale" if dist.log else "")
    return type(dist).__name__
