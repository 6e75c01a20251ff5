"""Which sampler proposes, and how its randomness hangs on the trial's number alone.

Optuna seeds a sampler once, so a resumed study repeats its random stream from the start, and a
proposal depends on how many were made before it in this process. Here the sampler is seeded for
each trial from (study seed, trial number): whoever asks for trial 17, in whichever process,
asks with the same randomness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from hpocli.config import SweepConfig
from hpocli.errors import ConfigError
from hpocli.study import log_ndtr
from hpocli.study.options import construct, need

_CLASSES: dict[str, type[BaseSampler]] = {
    "tpe": optuna.samplers.TPESampler,
    "random": optuna.samplers.RandomSampler,
    "grid": optuna.samplers.RandomSampler,  # fills what an enqueued point leaves open
    "qmc": optuna.samplers.QMCSampler,
    "cmaes": optuna.samplers.CmaEsSampler,
    "nsga2": optuna.samplers.NSGAIISampler,
    "gp": optuna.samplers.GPSampler,
}
_PACKAGES = {
    "qmc": [("scipy", "samplers")],
    "cmaes": [("cmaes", "samplers")],
    "gp": [("torch", "gp"), ("scipy", "gp")],
}
_BY_NAME: dict[str, Any] = {
    "crossover": optuna.samplers.nsgaii,
    "mutation": optuna.samplers.nsgaii,
    "independent_sampler": optuna.samplers,
}
WIDEST_MULTIVARIATE = 16


def trial_seed(study_seed: int, number: int) -> int:
    """Return the seed of one trial, in [0, 2**32); equal on every machine."""
    return int(np.random.SeedSequence([study_seed, number]).generate_state(1)[0])


def build_sampler(config: SweepConfig) -> SeededSampler:
    """Return the configured sampler; raises ConfigError for options that do not fit."""
    name = config.sampler.name
    what = f"sampler {name}"
    for module, extra in _PACKAGES.get(name, []):
        need(module, extra, what)
    if name == "cmaes" and len(config.directions) > 1:
        raise ConfigError(f"{what} takes one objective, and the sweep has several")
    options = {**_defaults(config), **config.sampler.options}
    if name == "grid":
        options.pop("search_space", None)  # says which points there are; see `grid`
    seed = options.pop("seed", config.seed)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"{what}: option 'seed' must be an int from 0, not {seed!r}")
    options = {key: _resolve(key, value, what) for key, value in options.items()}

    def make(seed: int) -> BaseSampler:
        made: BaseSampler = construct(_CLASSES[name], {**options, "seed": seed}, what)
        return made

    return SeededSampler(make, seed=seed, quick=name == "tpe", fresh=name == "gp")


def _defaults(config: SweepConfig) -> dict[str, Any]:
    """Return our defaults; docs/search.md has the measurements behind them."""
    few = config.concurrent_workers <= WIDEST_MULTIVARIATE and len(config.directions) == 1
    return {
        "tpe": {"multivariate": few, "constant_liar": True},
        "qmc": {
            "scramble": True,
            "warn_asynchronous_seeding": False,
            "warn_independent_sampling": False,
        },
        "cmaes": {"warn_independent_sampling": False},
        "gp": {"warn_independent_sampling": False},
    }.get(config.sampler.name, {})


def _resolve(key: str, value: object, what: str) -> object:
    """Return an object for an option that names a class of Optuna's, else the value."""
    if key not in _BY_NAME or not isinstance(value, str):
        return value
    made = getattr(_BY_NAME[key], value, None)
    if not isinstance(made, type):
        raise ConfigError(f"{what}: Optuna has no {key} called {value!r}")
    return construct(made, {}, f"{what}: {value}")


class SeededSampler(BaseSampler):
    """A sampler of Optuna's whose randomness is set anew for every trial.

    make: builds it from a seed. quick: it is TPE and may use SciPy's arithmetic. fresh: it keeps
    more than caches between trials and is therefore built anew for each.
    """

    def __init__(
        self, make: Callable[[int], BaseSampler], *, seed: int, quick: bool, fresh: bool
    ) -> None:
        self._make = make
        self._seed = seed
        self._quick = quick
        self._sampler = make(seed)
        self._states = () if fresh else tuple(random_states(self._sampler))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Seed the sampler for this trial."""
        sequence = np.random.SeedSequence([self._seed, trial.number])
        words = sequence.generate_state(max(1, len(self._states))).tolist()
        if self._quick:
            log_ndtr.choose(trial.number)
        if not self._states:
            self._sampler = self._make(words[0])
        for state, word in zip(self._states, words, strict=False):
            state.seed(word)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Ask the sampler."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Ask the sampler."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Ask the sampler."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Tell the sampler."""
        self._sampler.after_trial(study, trial, state, values)


def random_states(sampler: BaseSampler) -> Iterator[np.random.RandomState]:
    """Yield the random generators inside a sampler of Optuna's.

    They are private; where a later Optuna hides them elsewhere, none is found and the sampler is
    built anew for each trial, which is as reproducible and slower.
    """
    for value in vars(sampler).values():
        if isinstance(value, BaseSampler):
            yield from random_states(value)
        elif isinstance(getattr(value, "rng", None), np.random.RandomState):
            yield value.rng
