"""Where values of one parameter lie on an axis from 0 to 1, and which ticks it needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from hpocli.show import clean, number
from hpocli.spi import JsonScalar

_MANY_CATEGORIES = 12
_FEW = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis: linear, logarithmic, or one place for each of `categories`."""

    low: float
    high: float
    log: bool
    categories: tuple[str, ...]
    ticks: tuple[float, ...]
    labels: tuple[str, ...]

    def place(self, value: JsonScalar) -> float:
        """Return where `value` lies, 0 to 1; NaN where it has no place."""
        if self.categories:
            key = _key(value)
            if key not in self.categories:
                return math.nan
            return _share(self.categories.index(key), len(self.categories))
        if isinstance(value, str) or value is None:
            return math.nan
        return _part(float(value), self.low, self.high, log=self.log)


def scale_of(values: Sequence[JsonScalar], *, log: bool = False) -> Scale:
    """Return the axis for these values; text and truth are categories.

    log: whether the parameter is searched by its exponent.
    """
    numbers = [float(v) for v in values if _is_number(v)]
    if not values or len(numbers) < len(values):
        return _categorical(values)
    low, high = min(numbers), max(numbers)
    log = log and low > 0
    whole = all(isinstance(v, int) for v in values)
    few = sorted(set(numbers)) if len(set(numbers)) <= _FEW else []
    marks = few if whole and few else _marks(low, high, log=log, whole=whole)
    places = tuple(_part(mark, low, high, log=log) for mark in marks)
    return Scale(low, high, log, (), places, tuple(number(int(m) if whole else m) for m in marks))


def _categorical(values: Sequence[JsonScalar]) -> Scale:
    keys = tuple(sorted({_key(v) for v in values}))
    step = max(1, math.ceil(len(keys) / _MANY_CATEGORIES))
    ticks = tuple(_share(i, len(keys)) for i in range(0, len(keys), step))
    return Scale(0.0, 1.0, False, keys, ticks, tuple(clean(k, 14) for k in keys[::step]))  # noqa: FBT003 - a field


def _is_number(value: JsonScalar) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _key(value: JsonScalar) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _share(index: int, count: int) -> float:
    return 0.5 if count == 1 else index / (count - 1)


def _part(value: float, low: float, high: float, *, log: bool) -> float:
    if high <= low:
        return 0.5
    if log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return (value - low) / (high - low)


def _marks(low: float, high: float, *, log: bool, whole: bool) -> list[float]:
    """Return up to six round numbers between the ends, or the ends where there are too few."""
    if high <= low:
        return [low]
    found = _decades(low, high) if log else _steps(low, high, whole=whole)
    return found if len(found) >= 2 else [low, high]


def _decades(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        marks = [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]
        if len(marks) >= 3:
            break
    return marks[:: math.ceil(len(marks) / 6)]


def _steps(low: float, high: float, *, whole: bool) -> list[float]:
    rough = (high - low) / 4
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(f * scale for f in (1, 2, 2.5, 5, 10) if f * scale >= rough * 0.999)
    step = max(1.0, math.ceil(step)) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]
