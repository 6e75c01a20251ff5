"""Warm start: the finished trials of an earlier run, read without touching it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from hpocli.config import SweepConfig
from hpocli.errors import ConfigError
from hpocli.runs import find_run
from hpocli.spi import JsonScalar
from hpocli.study.journal import JournalReader
from hpocli.study.spaces import searched
from hpocli.study.storage import open_storage

WARM_START = "warm_start"


@dataclass(frozen=True, slots=True)
class EarlierStudy:
    """What an earlier run leaves to others: its finished trials and what they mean."""

    source: str
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    fixed: Mapping[str, JsonScalar]
    trials: tuple[FrozenTrial, ...]


def read_study(name: str, runs_dir: Path) -> EarlierStudy:
    """Read the run called `name` (a run's name, or the URL of its storage), changing nothing.

    Raises ConfigError where there is no such run or it has no study, StateError for a damaged
    one.
    """
    if "://" in name:
        storage = open_storage(name, runs_dir, create=False)
        try:
            return _read(storage.optuna, storage.label, None)
        finally:
            storage.close()
    try:
        run = find_run(runs_dir, name)
    except ConfigError as error:
        raise ConfigError(f"warm_start: {error.message}", hint=error.hint) from None
    if not run.journal.exists():
        raise ConfigError(
            f"warm_start: run {run.name!r} keeps its study elsewhere",
            hint="name the URL of its storage instead",
        )
    return _read(JournalStorage(JournalReader(run.journal)), run.name, run.name)


def inherited(config: SweepConfig, dists: Mapping[str, BaseDistribution]) -> list[FrozenTrial]:
    """Return copies of the earlier runs' finished trials that fit this sweep's space.

    Raises ConfigError where an earlier run optimised something else.
    """
    found: list[FrozenTrial] = []
    for name in config.warm_start:
        earlier = read_study(name, Path(config.runs_dir))
        _check_objectives(earlier, config)
        found += fitting(earlier, config, dists)
    return found


def fitting(
    earlier: EarlierStudy, config: SweepConfig, dists: Mapping[str, BaseDistribution]
) -> Iterable[FrozenTrial]:
    """Yield the trials whose every parameter has a place in this sweep's space."""
    fixed = dict(config.space.fixed)
    for trial in earlier.trials:
        values = {**earlier.fixed, **trial.params}
        params = searched(config.space, values)
        if params is None or any(values.get(k, v) != v for k, v in fixed.items()):
            continue
        if trial.params.keys() <= params.keys() | fixed.keys():
            yield optuna.trial.create_trial(
                state=trial.state,
                values=trial.values,
                params=params,
                distributions={key: dists[key] for key in params},
                user_attrs={WARM_START: f"{earlier.source}/{trial.number}"},
                intermediate_values=trial.intermediate_values,
            )


def _read(storage: Any, source: str, run: str | None) -> EarlierStudy:
    names = optuna.get_all_study_names(storage)
    if not names:
        raise ConfigError(f"warm_start: there is no study in {source}")
    study = optuna.load_study(study_name=run if run in names else names[0], storage=storage)
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    trials = study.get_trials(deepcopy=False, states=states)
    return EarlierStudy(
        source=source,
        objectives=tuple(study.user_attrs.get("objectives", ())),
        directions=tuple(direction.name.lower() for direction in study.directions),
        fixed=dict(study.user_attrs.get("fixed", {})),
        trials=tuple(t for t in trials if t.values is not None or t.intermediate_values),
    )


def _check_objectives(earlier: EarlierStudy, config: SweepConfig) -> None:
    if earlier.objectives not in ((), config.objectives):
        raise ConfigError(
            f"warm_start: {earlier.source} optimised {', '.join(earlier.objectives)}, "
            f"this sweep {', '.join(config.objectives)}"
        )
    if earlier.directions != config.directions:
        raise ConfigError(
            f"warm_start: {earlier.source} has the directions {', '.join(earlier.directions)}, "
            f"this sweep {', '.join(config.directions)}"
        )
