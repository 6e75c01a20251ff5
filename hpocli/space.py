"""The declarative search space: parameters, conditions, checks. Imports no Optuna.

Sweep-file form, one entry a parameter:

    learning_rate: {type: float, low: 1e-4, high: 1e-1, log: true}
    optimizer: [adam, sgd]                       # a list is a categorical
    momentum: {type: float, low: 0, high: 0.99, when: {optimizer: sgd}}
    units: {type: int, low: 16, high: 128, step: 16}
    dropout: 0.2                                 # a plain value fixes the parameter
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpocli.spi import JsonScalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """True where `parent` is active and has one of `values`."""

    parent: str
    values: tuple[JsonScalar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatParam:
    """A real number in [low, high]; `step` discretises, `log` searches the exponent."""

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IntParam:
    """An integer in [low, high] in steps of `step`."""

    name: str
    low: int
    high: int
    log: bool = False
    step: int = 1
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoricalParam:
    """One of `choices`, each None, bool, int, float or str."""

    name: str
    choices: tuple[JsonScalar, ...]
    when: tuple[Condition, ...] = ()


Param = FloatParam | IntParam | CategoricalParam


class PointError(ValueError):
    """Values that do not fit the space; `name` is the parameter, the text says what is wrong."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(problem)
        self.name = name


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """All parameters, every parent before its children, and the fixed ones.

    `params` are searched; `fixed` go into every trial as they are.
    """

    params: tuple[Param, ...] = ()
    fixed: tuple[tuple[str, JsonScalar], ...] = ()

    def is_active(self, param: Param, chosen: Mapping[str, JsonScalar]) -> bool:
        """Say whether all conditions of `param` hold for the values chosen so far."""
        return all(c.parent in chosen and chosen[c.parent] in c.values for c in param.when)

    def names(self) -> tuple[str, ...]:
        """Return the names of all parameters, searched and fixed."""
        return (*(p.name for p in self.params), *(name for name, _ in self.fixed))

    def is_conditional(self) -> bool:
        """Say whether any parameter exists only when another has a certain value."""
        return any(p.when for p in self.params)

    def grid_size(
        self, values: Mapping[str, int] | None = None, *, limit: int = 1_000_000
    ) -> int | None:
        """Return the number of points of the full grid, or `limit + 1` where there are more.

        Conditional parameters multiply only where they are active. `values` says how many values
        of a parameter to count instead of all. None where a parameter is continuous.
        """
        counts = {p.name: value_count(p) for p in self.params} | dict(values or {})
        sizes = {name: count for name, count in counts.items() if count is not None}
        if len(sizes) < len(counts):
            return None
        return min(limit + 1, _count_points(self, sizes, limit))

    def validate_point(self, point: Mapping[str, Any]) -> dict[str, JsonScalar]:
        """Return a (partial) point with each value in the parameter's own type.

        Raises PointError for an unknown name, a value outside its range, off its steps or not
        among its choices, and for a parameter that cannot exist beside the other values given.
        """
        params = {p.name: p for p in self.params}
        fixed = dict(self.fixed)
        found: dict[str, JsonScalar] = {}
        for name, value in point.items():
            if name in fixed:
                if not same_value(fixed[name], value):
                    raise PointError(name, f"is fixed to {fixed[name]!r}")
                continue
            if name not in params:
                raise PointError(name, "is not a parameter of the search space")
            found[name] = fit_value(params[name], value)
        for name in found:
            self._check_active(params[name], found)
        return found

    def _check_active(self, param: Param, point: Mapping[str, JsonScalar]) -> None:
        for condition in param.when:
            if condition.parent in point and point[condition.parent] not in condition.values:
                wanted = " or ".join(map(repr, condition.values))
                raise PointError(param.name, f"exists only when {condition.parent} is {wanted}")

    def to_user_form(self) -> dict[str, Any]:
        """Return the space as a sweep file writes it; reading that back gives an equal space."""
        return {p.name: _param_form(p) for p in self.params} | dict(self.fixed)


def _count_points(space: SearchSpace, sizes: Mapping[str, int], limit: int) -> int:
    """Count points, only telling apart those values of a parent that a condition names.

    Stops counting soon after `limit`.
    """
    named: dict[str, set[JsonScalar]] = {p.name: set() for p in space.params}
    last: dict[str, int] = {}
    for index, param in enumerate(space.params):
        for condition in param.when:
            named[condition.parent] |= set(condition.values)
            last[condition.parent] = index
    known: dict[tuple[int, frozenset[tuple[str, JsonScalar]]], int] = {}

    def below(index: int, chosen: dict[str, JsonScalar]) -> int:
        chosen = {name: value for name, value in chosen.items() if last[name] >= index}
        key = (index, frozenset(chosen.items()))
        if key not in known:
            known[key] = count(index, chosen)
        return known[key]

    def count(index: int, chosen: dict[str, JsonScalar]) -> int:
        if index == len(space.params):
            return 1
        param = space.params[index]
        if not space.is_active(param, chosen):
            return below(index + 1, chosen)
        others = sizes[param.name] - len(named[param.name])
        total = others * below(index + 1, chosen) if others > 0 else 0
        for value in named[param.name]:
            if total > limit:
                break
            total += below(index + 1, {**chosen, param.name: value})
        return total

    return below(0, {})


def same_value(a: object, b: object) -> bool:
    """Compare as a person does: 1 is 1.0, but true is not 1."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def value_count(param: Param) -> int | None:
    """Return how many values `param` can have, or None where it is continuous."""
    if isinstance(param, CategoricalParam):
        return len(param.choices)
    if isinstance(param, IntParam):
        return (param.high - param.low) // param.step + 1
    return None if param.step is None else round((param.high - param.low) / param.step) + 1


def fit_value(param: Param, value: object) -> JsonScalar:
    """Return `value` in the type of `param`. Raises PointError where it cannot have that value."""
    if isinstance(param, CategoricalParam):
        return _fit_choice(param, value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise PointError(param.name, f"must be a number, not {reprlib.repr(value)}")
    if isinstance(param, IntParam) and value != int(value):
        raise PointError(param.name, f"must be an integer, not {reprlib.repr(value)}")
    if not param.low <= value <= param.high:
        raise PointError(param.name, f"is {value!r}, outside {param.low!r} to {param.high!r}")
    if param.step is not None and not _on_step(param.low, param.step, value):
        raise PointError(
            param.name, f"is {value!r}, not {param.low!r} plus a multiple of {param.step!r}"
        )
    return int(value) if isinstance(param, IntParam) else float(value)


def _fit_choice(param: CategoricalParam, value: object) -> JsonScalar:
    for choice in param.choices:
        if same_value(choice, value):
            return choice
    known = ", ".join(map(repr, param.choices[:8]))
    raise PointError(param.name, f"is {reprlib.repr(value)}, not one of its choices ({known})")


def _on_step(low: float, step: float, value: float) -> bool:
    steps = (value - low) / step
    return abs(steps - round(steps)) < 1e-8


def _param_form(param: Param) -> dict[str, Any] | list[JsonScalar]:
    form: dict[str, Any]
    if isinstance(param, CategoricalParam) and not param.when:
        return list(param.choices)
    if isinstance(param, CategoricalParam):
        form = {"type": "categorical", "choices": list(param.choices)}
    else:
        kind = "int" if isinstance(param, IntParam) else "float"
        form = {"type": kind, "low": param.low, "high": param.high}
        if param.log:
            form["log"] = True
        if param.step is not None and (kind == "float" or param.step != 1):
            form["step"] = param.step
    if param.when:
        form["when"] = {
            c.parent: c.values[0] if len(c.values) == 1 else list(c.values) for c in param.when
        }
    return form
