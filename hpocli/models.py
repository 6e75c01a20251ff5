"""Keeps the best trial's model and drops the others as soon as they are beaten."""

from __future__ import annotations

from hpocli.config import SweepConfig
from hpocli.events import BestImproved, Record, TrialFinished
from hpocli.results import keep_best_model
from hpocli.runs import RunFolder
from hpocli.state import RunState


class ModelKeeper:
    """Listens to a run, so that a thousand trials never hold more than two models on the disk.

    A completed trial is followed at once by `best_improved` where it is the best; any other event
    after it means that its model is not wanted. With several objectives nothing is dropped here.
    """

    def __init__(self, folder: RunFolder, config: SweepConfig, best: int | None) -> None:
        """`best` is the best trial so far, where an earlier process found one."""
        self._folder = folder
        self._active = config.save_best_model and len(config.objectives) == 1
        self._best = best
        self._undecided: int | None = None

    def on_record(self, record: Record, state: RunState) -> None:
        """Take the next record."""
        del state
        if not self._active:
            return
        event = record.event
        if isinstance(event, BestImproved):
            keep_best_model(self._folder, event.trial, self._best)
            self._best, self._undecided = event.trial, None
        elif self._undecided is not None:
            keep_best_model(self._folder, None, self._undecided)
            self._undecided = None
        if isinstance(event, TrialFinished):
            self._undecided = event.trial
