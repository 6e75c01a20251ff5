"""Every point of a grid once, in a shuffled order that the seed fixes.

Optuna's GridSampler numbers points by trial, repeats them at the end and knows no conditions;
here a point is done when some trial has its parameters, whoever proposed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from hpocli.config import SweepConfig
from hpocli.errors import ConfigError
from hpocli.space import Param, SearchSpace
from hpocli.spi import JsonScalar
from hpocli.study.spaces import Point, choices, contains, plain

MOST_POINTS = 1_000_000

_Key = frozenset[tuple[str, JsonScalar]]


class Grid:
    """The points that no trial has yet.

    Raises ConfigError for a parameter with endlessly many values and for more than a million
    points.
    """

    def __init__(self, config: SweepConfig, done: Iterable[Mapping[str, JsonScalar]]) -> None:
        values = _values(config.space, config.sampler.options.get("search_space") or {})
        points = list(islice(_walk(config.space, values, 0, {}), MOST_POINTS + 1))
        if len(points) > MOST_POINTS:
            raise ConfigError(
                f"sampler grid: the grid has more than {MOST_POINTS:,} points",
                hint="use fewer values, or another sampler",
            )
        seed = config.sampler.options.get("seed", config.seed)
        np.random.default_rng(seed).shuffle(points)
        self._done = {_key(params) for params in done}
        self._points = [p for p in points if _key(p) not in self._done][::-1]

    @property
    def exhausted(self) -> bool:
        """Whether every point has been proposed."""
        self._drop_done()
        return not self._points

    def take(self) -> Point:
        """Return the next point; call only while not exhausted."""
        self._drop_done()
        return self._points.pop()

    def mark(self, params: Mapping[str, JsonScalar]) -> None:
        """Note that a trial has these parameters."""
        self._done.add(_key(params))

    def _drop_done(self) -> None:
        while self._points and _key(self._points[-1]) in self._done:
            self._points.pop()


def _key(params: Mapping[str, JsonScalar]) -> _Key:
    return frozenset(params.items())


def _values(
    space: SearchSpace, given: Mapping[str, Sequence[JsonScalar]]
) -> dict[str, tuple[JsonScalar, ...]]:
    return {param.name: _values_of(param, given.get(param.name)) for param in space.params}


def _values_of(param: Param, given: Sequence[JsonScalar] | None) -> tuple[JsonScalar, ...]:
    if given is None:
        found = choices(param)
        if found is None:
            raise ConfigError(
                f"sampler grid: parameter {param.name!r} has endlessly many values",
                hint="give it a step, list its values, or set sampler.search_space",
            )
        return found
    if not isinstance(given, list | tuple) or not given:
        raise ConfigError(f"sampler grid: search_space.{param.name} must be a list of values")
    for value in given:
        if not contains(param, value):
            raise ConfigError(f"sampler grid: {param.name}={value!r} is not in the search space")
    return tuple(plain(param, value) for value in given)


def _walk(
    space: SearchSpace, values: Mapping[str, tuple[JsonScalar, ...]], depth: int, chosen: Point
) -> Iterator[Point]:
    """Yield all points that begin with `chosen`; an inactive parameter does not multiply."""
    if depth == len(space.params):
        yield dict(chosen)
        return
    param = space.params[depth]
    if not space.is_active(param, chosen):
        yield from _walk(space, values, depth + 1, chosen)
        return
    for value in values[param.name]:
        yield from _walk(space, values, depth + 1, {**chosen, param.name: value})
