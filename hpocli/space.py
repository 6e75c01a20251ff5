"""The declarative search space: parameters, conditions, checks. Imports no Optuna.

Sweep-file form, one entry a parameter:

    learning_rate: {type: float, low: 1e-4, high: 1e-1, log: true}
    optimizer: [adam, sgd]                       # a list is a categorical
    momentum: {type: float, low: 0, high: 0.99, when: {optimizer: sgd}}
    units: {type: int, low: 16, high: 128, step: 16}
    dropout: 0.2                                 # a plain value fixes the parameter
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
