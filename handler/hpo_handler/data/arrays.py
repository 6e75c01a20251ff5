"""Images as arrays: what a source hands over, the checks on it, and the split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo_handler.failures import TrialError

Array = NDArray[Any]
MAX_CLASSES = 10_000
MAX_CHANNELS = 16
_SPLIT_SEED = 20_240_229  # of the data, not of a trial: every trial validates on the same images


class DataError(TrialError):
    """Data that cannot be used: one sentence that names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Images:
    """What a source hands over: images (n, height, width, channels) and integer labels (n,).

    classes: their names, in the order of the labels. scale: what a pixel value is multiplied by to
    lie in [0, 1]. x_test, y_test: a part to be kept out of training, where the source has one.
    """

    name: str
    x: Array
    y: Array
    classes: tuple[str, ...]
    scale: float
    x_test: Array | None = None
    y_test: Array | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """The parts of a data set; images keep their own type, the model scales them."""

    name: str
    x_train: Array
    y_train: Array
    x_val: Array
    y_val: Array
    x_test: Array | None
    y_test: Array | None
    classes: tuple[str, ...]
    scale: float

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        height, width, channels = self.x_train.shape[1:]
        return height, width, channels


def split(images: Images, share: float) -> Split:
    """Return training and validation parts with `share` of every class in the latter.

    The same images and share give the same parts, whatever the trial's seed.
    """
    rng = np.random.default_rng(_SPLIT_SEED)
    validation = np.zeros(len(images.y), dtype=bool)
    for label in np.unique(images.y):
        members = rng.permutation(np.flatnonzero(images.y == label))
        validation[members[: _part(len(members), share)]] = True
    if not validation.any():
        raise DataError(f"{images.name}: too few images a class to validate on; add images")
    train = rng.permutation(np.flatnonzero(~validation))
    return Split(
        name=images.name,
        x_train=images.x[train],
        y_train=images.y[train],
        x_val=images.x[validation],
        y_val=images.y[validation],
        x_test=images.x_test,
        y_test=images.y_test,
        classes=images.classes,
        scale=images.scale,
    )


def _part(count: int, share: float) -> int:
    """How many of `count` images validate: at least one, and never the last one of a class."""
    return min(max(1, round(count * share)), count - 1)


def as_images(name: str, x: Array) -> Array:
    """Return `x` as (n, height, width, channels). Raises DataError for any other shape or type."""
    if x.ndim == 3:
        x = x[..., np.newaxis]
    if x.ndim != 4 or x.shape[3] > MAX_CHANNELS or 0 in x.shape:
        raise DataError(
            f"{name}: images have shape {x.shape}; expected (images, height, width) or "
            f"(images, height, width, channels) with at most {MAX_CHANNELS} channels"
        )
    if x.dtype.kind not in "uifb":
        raise DataError(f"{name}: images are of type {x.dtype}; save them as numbers")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise DataError(f"{name}: images contain NaN or infinity; remove them")
    return x if x.dtype.name in ("uint8", "float32") else x.astype(np.float32)


def as_labels(name: str, y: Array, count: int) -> Array:
    """Return `y` as a flat array of `count` labels. Raises DataError where it is none."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (count,):
        raise DataError(f"{name}: {count} images but labels of shape {y.shape}; one label an image")
    if y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.round(y)).all()):
        raise DataError(f"{name}: labels are fractions; classification needs one class an image")
    return y


def pixel_scale(x: Array) -> float:
    """Return the factor that brings pixels into [0, 1]: 1/255 for bytes, else by the largest."""
    if x.dtype == np.uint8 and x.max() > 16:
        return 1 / 255
    largest = float(np.abs(x).max())
    return 1 / largest if largest > 1 else 1.0


def label_classes(
    name: str, y: Array, y_test: Array | None
) -> tuple[Array, Array | None, tuple[str, ...]]:
    """Number the labels 0..n-1 in sorted order; return training, test labels and class names."""
    found, numbered = np.unique(y, return_inverse=True)
    if not 2 <= len(found) <= MAX_CLASSES:
        raise DataError(f"{name}: {len(found)} classes; between 2 and {MAX_CLASSES} can be learnt")
    test = None
    if y_test is not None:
        if not np.isin(y_test, found).all():
            raise DataError(f"{name}: the test part has classes that the training part lacks")
        test = np.searchsorted(found, y_test).astype(np.int32)
    return numbered.astype(np.int32), test, tuple(str(value)[:100] for value in found)
