"""A storage in which only some finished trials can be seen, for decisions that must repeat."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState


class ToldTrials(BaseStorage):
    """Another storage, where `get_all_trials` knows only the trials with numbers below `before`.

    A pruner that looks through it decides by what had been told when its trial was asked for,
    not by what happens to run or to have ended since. Everything else passes through.
    """

    def __init__(self, storage: BaseStorage, before: int) -> None:
        self._storage = storage
        self._before = before

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,  # noqa: FBT001, FBT002 - Optuna's signature
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the trials that may be seen."""
        trials = self._storage.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return [trial for trial in trials if trial.number < self._before]


def _passing(name: str) -> Callable[..., Any]:
    def call(self: ToldTrials, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._storage, name)(*args, **kwargs)

    call.__name__ = name
    return call


for _name in ToldTrials.__abstractmethods__:
    setattr(ToldTrials, _name, _passing(_name))
ToldTrials.__abstractmethods__ = frozenset()


def told_before(storage: BaseStorage, number: int) -> BaseStorage:
    """Return `storage` as it looks to someone who knows only trials below `number`."""
    return ToldTrials(storage, number)  # type: ignore[abstract]  # filled in above
