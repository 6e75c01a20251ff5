"""From parameters to a compiled network: the layers, the optimizer, and what they weigh."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from typing import Any

import keras

from hpo_handler.catalog import IMAGE_SPACE
from hpo_handler.failures import TrialError

_SLOTS = {"adam": 2, "adamw": 2, "rmsprop": 1, "sgd": 1}
_PER_LAYER = re.compile(r"(filters|dense_units)_([1-9]|1[0-6])\Z")
_POOLINGS = ("max", "average", "strided", "none")
_BATCH_NORM_MOMENTUM = 0.9  # Keras's 0.99 lags behind in trials of a few hundred steps


class ParameterError(TrialError):
    """A parameter that no network can be built from: one sentence that names it."""


def check_names(params: Mapping[str, Any]) -> None:
    """Raise ParameterError for a name that nothing here reads: it would be searched in vain."""
    for name in params:
        if name not in IMAGE_SPACE and name != "epochs" and not _PER_LAYER.match(name):
            close = difflib.get_close_matches(name, [*IMAGE_SPACE, "epochs"], n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(IMAGE_SPACE)}"
            raise ParameterError(f"keras-image has no parameter {name!r}; {hint}")


def build(
    params: Mapping[str, Any], image_shape: tuple[int, int, int], classes: int, scale: float
) -> keras.Model:
    """Return an uncompiled network from raw pixels (multiplied by `scale`) to probabilities.

    Missing parameters have defaults. A map too small to halve is not pooled further, so any number
    of layers fits any image. Raises ParameterError for values outside what the trainer knows.
    """
    image = keras.Input(image_shape)
    x = keras.layers.Rescaling(scale)(image) if scale != 1 else image
    for layer in range(1, _whole(params, "conv_layers", 2, 1, 16) + 1):
        x = _convolution(x, params, layer)
    x = keras.layers.Flatten()(x)
    for layer in range(1, _whole(params, "dense_layers", 1, 0, 16) + 1):
        x = keras.layers.Dense(_whole(params, f"dense_units_{layer}", 64, 1, 65_536))(x)
        x = _activation(params)(x)
    x = keras.layers.Dropout(_real(params, "dropout", 0.0, 0.0, 0.95))(x)
    return keras.Model(image, keras.layers.Dense(classes, activation="softmax")(x))


def _convolution(x: Any, params: Mapping[str, Any], layer: int) -> Any:
    pooling = _choice(params, "pooling", "max", _POOLINGS)
    halves = pooling != "none" and min(x.shape[1], x.shape[2]) >= 2
    normalized = bool(params.get("batch_normalization", False))
    x = keras.layers.Conv2D(
        _whole(params, f"filters_{layer}", 32, 1, 4096),
        _whole(params, "kernel_size", 3, 1, 15),
        strides=2 if halves and pooling == "strided" else 1,
        padding="same",
        use_bias=not normalized,
    )(x)
    if normalized:
        x = keras.layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM)(x)
    x = _activation(params)(x)
    if halves and pooling == "max":
        x = keras.layers.MaxPooling2D(2)(x)
    elif halves and pooling == "average":
        x = keras.layers.AveragePooling2D(2)(x)
    return x


def _activation(params: Mapping[str, Any]) -> keras.layers.Layer:
    name = str(params.get("activation", "relu"))
    try:
        function = keras.activations.get(name)
    except ValueError:
        raise ParameterError(
            f"activation {name!r} is unknown to Keras; try relu or swish"
        ) from None
    return keras.layers.Activation(function)


def optimizer(params: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """Return the optimizer that `params` name, with its own parameters."""
    name = _choice(params, "optimizer", "adam", tuple(_SLOTS))
    rate = _real(params, "learning_rate", 1e-3, 1e-12, 1e3)
    if name == "sgd":
        momentum = _real(params, "momentum", 0.9, 0.0, 1.0)
        return keras.optimizers.SGD(rate, momentum=momentum, nesterov=momentum > 0)
    if name == "adamw":
        decay = _real(params, "weight_decay", 4e-3, 0.0, 10.0)
        return keras.optimizers.AdamW(rate, weight_decay=decay)
    if name == "rmsprop":
        return keras.optimizers.RMSprop(rate)
    return keras.optimizers.Adam(rate)


def batch_size(params: Mapping[str, Any]) -> int:
    """Return the number of images in a training step."""
    return _whole(params, "batch_size", 64, 1, 65_536)


def training_bytes(model: keras.Model, params: Mapping[str, Any]) -> int:
    """Estimate the memory of one training step: weights, gradients, optimizer slots, activations.

    Four bytes a number; the outputs of all layers of a batch are kept for the backward pass.
    """
    trained = sum(int(math.prod(v.shape)) for v in model.trainable_variables)
    kept = sum(int(math.prod(layer.output.shape[1:])) for layer in model.layers)
    slots = _SLOTS[str(params.get("optimizer", "adam"))]
    weights = int(model.count_params())
    return 4 * (weights + trained * (1 + slots) + kept * batch_size(params))


def _whole(params: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ParameterError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
    return value


def _real(params: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ParameterError(f"{name} must be a number from {low} to {high}, not {value!r}")
    return float(value)


def _choice(params: Mapping[str, Any], name: str, default: str, known: tuple[str, ...]) -> str:
    value = params.get(name, default)
    if value not in known:
        raise ParameterError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    return str(value)
