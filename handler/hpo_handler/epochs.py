"""What happens between the epochs of one training: record, report, keep the best, stop in time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from hpo_handler import health
from hpo_handler.context import TrialContext, TrialDiverged, TrialStopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The training in numbers, fixed before it begins.

    monitor: the curve that says which epoch is best, val_accuracy or val_loss.
    patience: epochs without improvement before it ends, 0 for never.
    """

    epochs: int
    min_epochs: int
    patience: int
    monitor: str
    restore_best: bool
    parameters: int
    memory_bytes: int
    classes: int
    val_images: int


@dataclass(slots=True)
class Record:
    """What the epochs left: curves, the best epoch, its weights, and the validation speed."""

    curves: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0
    best_weights: list[Any] | None = None
    images_per_s: float = 0.0

    def add(self, numbers: Mapping[str, float]) -> None:
        """Append one epoch."""
        for name, value in numbers.items():
            self.curves.setdefault(name, []).append(value)

    def at(self, epoch: int) -> dict[str, float]:
        """Return the values of one epoch."""
        return {name: values[epoch] for name, values in self.curves.items()}


def value_so_far(objective: str, plan: Plan, record: Record, elapsed_s: float) -> float:
    """Return the objective after the last epoch, for the pruner.

    Probe-based health cannot be known before the end; val_accuracy, which is maximised like
    it, stands in for it (docs/trainers.md).
    """
    curves, now = record.curves, record.at(-1)
    accuracy, classes = now["val_accuracy"], plan.classes
    known: dict[str, Callable[[], float]] = {
        "training_time": lambda: elapsed_s,
        "inference_speed": lambda: record.images_per_s,
        "parameter_efficiency": lambda: health.parameter_efficiency(
            accuracy, plan.parameters, classes
        ),
        "memory_efficiency": lambda: health.memory_efficiency(accuracy, plan.memory_bytes, classes),
        "training_stability": lambda: health.training_stability(curves["loss"]),
        "convergence_quality": lambda: health.convergence_quality(curves["val_loss"], classes),
        "accuracy_consistency": lambda: health.accuracy_consistency(curves["val_accuracy"]),
    }
    return known[objective]() if objective in known else now.get(objective, accuracy)


class SpeedWatch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Keeps the best speed of the validation passes; the first one traces the graph and is slow."""

    def __init__(self, plan: Plan, record: Record) -> None:
        super().__init__()
        self._plan, self._record = plan, record
        self._pass_begun = 0.0

    def on_test_begin(self, logs: object = None) -> None:
        """Start the clock of a pass."""
        del logs
        self._pass_begun = time.perf_counter()

    def on_test_end(self, logs: object = None) -> None:
        """Take the pass's images a second."""
        del logs
        seconds = max(time.perf_counter() - self._pass_begun, 1e-9)
        speed = self._plan.val_images / seconds
        self._record.images_per_s = max(self._record.images_per_s, speed)


class Watch(SpeedWatch):
    """Reports each epoch to the trial, keeps the best weights, ends the fit when it should end.

    It looks before a batch and not after it: a hook after a batch makes Keras fetch the metrics
    of every step. Raises TrialStopped or TrialDiverged out of `fit`.
    """

    def __init__(self, ctx: TrialContext, plan: Plan, record: Record) -> None:
        super().__init__(plan, record)
        self._ctx = ctx
        self._objective = ctx.objectives[0] if ctx.objectives else "val_accuracy"
        self._begun = time.perf_counter()

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        """Leave at once where the trial was asked to."""
        del batch, logs
        if self._ctx.should_stop():
            raise TrialStopped

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Record and report the epoch; stop where nothing has improved for long."""
        numbers = {name: float(value) for name, value in (logs or {}).items()}
        for name, value in numbers.items():
            if not math.isfinite(value):
                raise TrialDiverged(f"{name} is {value} after epoch {epoch + 1}")
        self._record.add(numbers)
        if self._improved(epoch):
            self._record.best_epoch = epoch
            if self._plan.restore_best:
                self._record.best_weights = self.model.get_weights()
        elapsed_s = time.perf_counter() - self._begun
        value = value_so_far(self._objective, self._plan, self._record, elapsed_s)
        self._ctx.report(epoch, value, total_steps=self._plan.epochs, **numbers)
        if self._is_over(epoch):
            self.model.stop_training = True

    def _improved(self, epoch: int) -> bool:
        """Say whether this epoch beats the best; equal accuracy with a lower loss does."""
        return epoch == 0 or self._rank(epoch) > self._rank(self._record.best_epoch)

    def _rank(self, epoch: int) -> tuple[float, float]:
        curves = self._record.curves
        loss = -curves["val_loss"][epoch]
        return (0.0 if self._plan.monitor == "val_loss" else curves["val_accuracy"][epoch], loss)

    def _is_over(self, epoch: int) -> bool:
        waited = epoch - self._record.best_epoch
        return epoch + 1 >= self._plan.min_epochs and 0 < self._plan.patience <= waited
