"""How healthy a trained network is: numbers in [0, 1], higher is healthier, always finite.

docs/health.md gives each formula with its source or reason. What needs a look into the network
comes from `probing.probe`; everything else comes from the curves that training left anyway.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

WEIGHTS: Mapping[str, float] = {
    "neuron_utilization": 0.2,
    "parameter_efficiency": 0.15,
    "training_stability": 0.2,
    "gradient_health": 0.2,
    "convergence_quality": 0.15,
    "accuracy_consistency": 0.1,
}
_FEW_WEIGHTS, _MANY_WEIGHTS = 2.0, 8.0  # powers of ten: efficiency falls from 1 to 0 between them
_LITTLE_MEMORY, _MUCH_MEMORY = 16.0, 36.0  # powers of two, in bytes
_EVEN, _BROKEN = 1.0, 4.0  # powers of ten between a layer's gradient and the median layer's
_FULL_SWING = 0.1  # a standard deviation of ten points of accuracy is no consistency at all


CURVES = ("loss", "val_loss", "val_accuracy")


@dataclass(frozen=True, slots=True)
class Curves:
    """Per-epoch values of one training (named in CURVES), oldest first, all of one length."""

    loss: Sequence[float]
    val_loss: Sequence[float]
    val_accuracy: Sequence[float]


@dataclass(frozen=True, slots=True)
class Probe:
    """What one batch shows: the share of live units, and how even the gradients are."""

    neuron_utilization: float
    gradient_health: float


def measure(
    curves: Curves, probe: Probe, *, accuracy: float, parameters: int, classes: int
) -> dict[str, float]:
    """Return every health number and their weighted mean `overall_health`.

    accuracy: of the weights that were kept, on the validation part.
    """
    health = {
        "neuron_utilization": probe.neuron_utilization,
        "parameter_efficiency": parameter_efficiency(accuracy, parameters, classes),
        "training_stability": training_stability(curves.loss),
        "gradient_health": probe.gradient_health,
        "convergence_quality": convergence_quality(curves.val_loss, classes),
        "accuracy_consistency": accuracy_consistency(curves.val_accuracy),
    }
    health["overall_health"] = sum(WEIGHTS[name] * value for name, value in health.items())
    return {name: unit(value) for name, value in health.items()}


def skill(accuracy: float, classes: int) -> float:
    """Return accuracy above guessing: 0 at chance or below, 1 when always right."""
    chance = 1 / classes
    return unit((accuracy - chance) / (1 - chance))


def parameter_efficiency(accuracy: float, parameters: int, classes: int) -> float:
    """Return skill, discounted by a sixth for every factor ten of weights above a hundred."""
    size = math.log10(max(parameters, 1))
    return skill(accuracy, classes) * _falling(size, _FEW_WEIGHTS, _MANY_WEIGHTS)


def memory_efficiency(accuracy: float, n_bytes: int, classes: int) -> float:
    """Return skill, discounted by a twentieth for every doubling of memory above 64 KiB."""
    size = math.log2(max(n_bytes, 1))
    return skill(accuracy, classes) * _falling(size, _LITTLE_MEMORY, _MUCH_MEMORY)


def training_stability(loss: Sequence[float]) -> float:
    """Return the net fall of the training loss over the way it went: 1 if it never rose."""
    steps = np.diff(np.asarray(loss, dtype=np.float64))
    way = float(np.abs(steps).sum())
    return unit(-float(steps.sum()) / way) if way > 0 else 1.0


def convergence_quality(val_loss: Sequence[float], classes: int) -> float:
    """Return how far below guessing the validation loss fell, less what it gave back at the end."""
    if not len(val_loss):
        return 0.0
    guessing = math.log(classes)
    best, last = min(val_loss), val_loss[-1]
    return unit(1 - best / guessing) * unit(1 - (last - best) / guessing)


def accuracy_consistency(val_accuracy: Sequence[float]) -> float:
    """Return 1 where the second half of training keeps one accuracy, 0 at a swing of 0.1."""
    half = np.asarray(val_accuracy[len(val_accuracy) // 2 :], dtype=np.float64)
    return unit(1 - float(half.std()) / _FULL_SWING) if half.size else 0.0


def live_share(outputs: Sequence[NDArray[Any]]) -> float:
    """Return the share of units (channels, for maps) whose output differs from image to image."""
    live = total = 0
    for values in outputs:
        flat = values.reshape(-1, values.shape[-1]).astype(np.float64)
        with np.errstate(all="ignore"):
            spread, level = flat.max(axis=0) - flat.min(axis=0), np.abs(flat).max(axis=0)
            live += int(np.count_nonzero(np.isfinite(spread) & (spread > 1e-6 * (1 + level))))
        total += flat.shape[1]
    return live / total if total else 1.0


def gradient_evenness(sizes: Sequence[float]) -> float:
    """Return the mean score of the layers' gradient sizes (root mean squares).

    A layer within a factor ten of the median scores 1, one 10^4 away or without a finite gradient
    scores 0, on a logarithmic line between.
    """
    usable = [size for size in sizes if math.isfinite(size) and size > 0]
    if not usable:
        return 0.0
    middle = float(np.median(np.log10(usable)))
    scores = [_falling(abs(math.log10(size) - middle), _EVEN, _BROKEN) for size in usable]
    return sum(scores) / len(sizes)


def _falling(value: float, full: float, none: float) -> float:
    """1 up to `full`, 0 from `none` on, a straight line between."""
    return unit((none - value) / (none - full))


def unit(value: float) -> float:
    """Return `value` cut to [0, 1]; NaN becomes 0."""
    return min(1.0, max(0.0, value)) if math.isfinite(value) else float(value == math.inf)
