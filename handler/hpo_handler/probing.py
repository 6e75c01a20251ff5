"""A look into a trained network: one forward and one backward pass over a small batch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpo_handler import health
from hpo_handler.data import Array

PROBE_IMAGES = 64


def probe(model: keras.Model, x: Array, y: Array) -> health.Probe:
    """Pass at most PROBE_IMAGES images forward and back, without changing the model."""
    x, y = x[:PROBE_IMAGES], y[:PROBE_IMAGES]
    kernels = [layer.kernel.value for layer in model.layers if hasattr(layer, "kernel")]
    with tf.GradientTape() as tape:
        hidden, answers = _walk(model, x)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, answers))
    sizes = [_rms(gradient) for gradient in tape.gradient(loss, kernels)]
    return health.Probe(
        health.live_share([values.numpy() for values in hidden]), health.gradient_evenness(sizes)
    )


def _walk(model: keras.Model, x: Array) -> tuple[list[Any], Any]:
    """Return the outputs of every activation, and of the model: a chain of layers.

    Walked layer by layer, as in inference: building a second model over the same layers takes
    longer than the pass.
    """
    hidden, values = [], tf.convert_to_tensor(x)
    for layer in model.layers[1:]:
        values = layer(values)
        if isinstance(layer, keras.layers.Activation):
            hidden.append(values)
    return hidden, values


def _rms(gradient: Any) -> float:
    return 0.0 if gradient is None else float(np.sqrt(np.mean(np.square(gradient.numpy()))))
