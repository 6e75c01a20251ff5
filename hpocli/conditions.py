"""Conditions between parameters: their order, and what is decided before anything runs."""

from __future__ import annotations

from dataclasses import replace

from hpocli.space import (
    CategoricalParam,
    Condition,
    FloatParam,
    Param,
    PointError,
    SearchSpace,
    fit_value,
    same_value,
)
from hpocli.spi import JsonScalar
from hpocli.sweepfile import KeyPath
from hpocli.wording import nearest


class SpaceError(ValueError):
    """A space that cannot be searched; `path` leads to the culprit inside `space:`."""

    def __init__(self, path: KeyPath, problem: str, *, hint: str = "") -> None:
        super().__init__(problem)
        self.path = path
        self.hint = hint


def parents_first(params: list[Param]) -> list[Param]:
    """Return the parameters in an order that proposes every parent before its children."""
    by_name = {p.name: p for p in params}
    ordered: dict[str, Param] = {}

    def place(param: Param, below: tuple[str, ...]) -> None:
        if param.name in below:
            circle = " -> ".join((*below[below.index(param.name) :], param.name))
            raise SpaceError((param.name, "when"), f"goes in a circle: {circle}")
        for condition in param.when:
            if condition.parent not in by_name:
                raise SpaceError(
                    (param.name, "when", condition.parent),
                    "is not a parameter of the search space",
                    hint=nearest(condition.parent, by_name),
                )
            if condition.parent not in ordered:
                place(by_name[condition.parent], (*below, param.name))
        ordered[param.name] = param

    for param in params:
        if param.name not in ordered:
            place(param, ())
    return list(ordered.values())


def settle(params: list[Param], *, strict: set[str]) -> SearchSpace:
    """Decide conditions on fixed parents, and fix what has one value.

    A condition value that the parent cannot have is an error for the parameters in `strict`, and
    is dropped elsewhere (a sweep file narrowed the parent of a built-in parameter).
    """
    searched: dict[str, Param] = {}
    fixed: dict[str, JsonScalar] = {}
    for param in params:
        conditions: list[Condition] = []
        for condition in param.when:
            if condition.parent in fixed:
                if any(same_value(fixed[condition.parent], v) for v in condition.values):
                    continue
                break
            if condition.parent not in searched:
                break
            values = _possible(
                param, condition, searched[condition.parent], strict=param.name in strict
            )
            if not values:
                break
            conditions.append(Condition(parent=condition.parent, values=values))
        else:
            settled = replace(param, when=tuple(conditions))
            if not conditions and _is_single(settled):
                fixed[param.name] = _first_value(settled)
            else:
                searched[param.name] = settled
    return SearchSpace(params=tuple(searched.values()), fixed=tuple(fixed.items()))


def _possible(
    param: Param, condition: Condition, parent: Param, *, strict: bool
) -> tuple[JsonScalar, ...]:
    path = (param.name, "when", condition.parent)
    if isinstance(parent, FloatParam):
        raise SpaceError(path, "is a float; a condition needs a categorical or int parameter")
    found = []
    for value in condition.values:
        try:
            found.append(fit_value(parent, value))
        except PointError as error:
            if strict:
                raise SpaceError(path, f"can never hold: {parent.name} {error}") from None
    return tuple(dict.fromkeys(found))


def _is_single(param: Param) -> bool:
    if isinstance(param, CategoricalParam):
        return len(param.choices) == 1
    return param.low == param.high


def _first_value(param: Param) -> JsonScalar:
    return param.choices[0] if isinstance(param, CategoricalParam) else param.low
