"""The built-in trainers as plain data: spaces, settings, objectives, datasets.

Standard library only, importable at once: clients read it without TensorFlow. docs/trainers.md
describes the same in prose.
"""

from __future__ import annotations

from typing import Any

IMAGE_DATASETS = ("digits", "mnist", "fashion_mnist", "cifar10", "cifar100")

_ACTIVATIONS = ["relu", "leaky_relu", "elu", "swish", "gelu"]

IMAGE_SPACE: dict[str, Any] = {
    "conv_layers": {"type": "int", "low": 1, "high": 4},
    "filters_1": {"type": "int", "low": 16, "high": 96, "step": 16},
    "filters_2": {
        "type": "int",
        "low": 16,
        "high": 96,
        "step": 16,
        "when": {"conv_layers": [2, 3, 4]},
    },
    "filters_3": {
        "type": "int",
        "low": 16,
        "high": 96,
        "step": 16,
        "when": {"conv_layers": [3, 4]},
    },
    "filters_4": {"type": "int", "low": 16, "high": 96, "step": 16, "when": {"conv_layers": [4]}},
    "kernel_size": [3, 5],
    "pooling": ["max", "average", "strided", "none"],
    "batch_normalization": [True, False],
    "dense_layers": {"type": "int", "low": 0, "high": 2},
    "dense_units_1": {
        "type": "int",
        "low": 32,
        "high": 256,
        "step": 32,
        "when": {"dense_layers": [1, 2]},
    },
    "dense_units_2": {
        "type": "int",
        "low": 32,
        "high": 256,
        "step": 32,
        "when": {"dense_layers": [2]},
    },
    "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    "activation": _ACTIVATIONS,
    "optimizer": ["adam", "adamw", "rmsprop", "sgd"],
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"optimizer": ["sgd"]}},
    "weight_decay": {
        "type": "float",
        "low": 1e-5,
        "high": 1e-1,
        "log": True,
        "when": {"optimizer": ["adamw"]},
    },
    "batch_size": [32, 64, 128, 256],
}

IMAGE_SETTINGS: dict[str, Any] = {
    "deterministic": False,
    "patience": 5,
    "restore_best": True,
    "steps_per_execution": 1,
    "jit_compile": False,
    "test_part": True,
    "image_size": 0,
    "max_data_mb": 4096,
}

IMAGE_OBJECTIVES: list[dict[str, str]] = [
    {
        "name": "val_accuracy",
        "direction": "maximize",
        "kind": "metric",
        "help": "accuracy on the validation part, at the best epoch",
    },
    {
        "name": "accuracy",
        "direction": "maximize",
        "kind": "metric",
        "help": "accuracy on the training part, at the best epoch",
    },
    {
        "name": "val_loss",
        "direction": "minimize",
        "kind": "metric",
        "help": "cross-entropy on the validation part, at the best epoch",
    },
    {
        "name": "training_time",
        "direction": "minimize",
        "kind": "metric",
        "help": "seconds spent in fit",
    },
    {
        "name": "parameter_efficiency",
        "direction": "maximize",
        "kind": "metric",
        "help": "accuracy above chance, discounted by the number of weights; in [0, 1]",
    },
    {
        "name": "memory_efficiency",
        "direction": "maximize",
        "kind": "metric",
        "help": "accuracy above chance, discounted by training memory; in [0, 1]",
    },
    {
        "name": "inference_speed",
        "direction": "maximize",
        "kind": "metric",
        "help": "validation images a second",
    },
    {
        "name": "overall_health",
        "direction": "maximize",
        "kind": "health",
        "help": "weighted mean of the health numbers; in [0, 1]",
    },
    {
        "name": "neuron_utilization",
        "direction": "maximize",
        "kind": "health",
        "help": "share of units that answer to the input at all",
    },
    {
        "name": "training_stability",
        "direction": "maximize",
        "kind": "health",
        "help": "how steadily the training loss fell",
    },
    {
        "name": "gradient_health",
        "direction": "maximize",
        "kind": "health",
        "help": "how evenly the gradient reaches the layers",
    },
    {
        "name": "convergence_quality",
        "direction": "maximize",
        "kind": "health",
        "help": "how far below chance the validation loss fell, and whether it stayed there",
    },
    {
        "name": "accuracy_consistency",
        "direction": "maximize",
        "kind": "health",
        "help": "how little the validation accuracy swings in the second half of training",
    },
]

MINIMIZED = frozenset(o["name"] for o in IMAGE_OBJECTIVES if o["direction"] == "minimize")

TRAINERS: dict[str, dict[str, Any]] = {
    "keras-image": {
        "name": "keras-image",
        "help": "Keras convolutional networks that classify images",
        "space": IMAGE_SPACE,
        "settings": IMAGE_SETTINGS,
        "objectives": IMAGE_OBJECTIVES,
        "datasets": IMAGE_DATASETS,
    },
}
