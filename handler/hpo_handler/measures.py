"""After the fit: objectives, health and the files of one trained network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hpo_handler import health
from hpo_handler.catalog import MINIMIZED
from hpo_handler.context import Outcome, TrialContext
from hpo_handler.data import Split
from hpo_handler.epochs import Plan, Record, SpeedWatch
from hpo_handler.probing import probe

EVALUATION_BATCH = 512
_MB = 2**20


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model after its fit, with all that the fit left."""

    model: keras.Model
    split: Split
    plan: Plan
    record: Record
    fit_s: float


def outcome(ctx: TrialContext, settings: Mapping[str, Any], fitted: Fitted) -> Outcome:
    """Return everything measured of a fitted model, and write its files into `ctx.workdir`."""
    plan, record = fitted.plan, fitted.record
    if "inference_speed" in ctx.objectives:
        _time_again(fitted)
    last = len(record.curves["loss"]) - 1
    kept = record.best_epoch if plan.restore_best else last
    metrics = record.at(kept) | {"epochs": last + 1.0, "best_epoch": kept + 1.0}
    measured = _health(fitted, metrics["val_accuracy"])
    metrics |= _costs(fitted, metrics["val_accuracy"])
    metrics["parameter_efficiency"] = measured["parameter_efficiency"]
    metrics |= {name: measured[name] for name in ctx.objectives if name in measured}
    if settings["test_part"] and fitted.split.x_test is not None:
        metrics["test_accuracy"] = _accuracy(fitted.model, fitted.split.x_test, fitted.split.y_test)
    return Outcome(
        metrics=metrics,
        health=measured,
        fit_s=fitted.fit_s,
        artifacts=_write(ctx, settings, fitted, metrics),
        info={"dataset": fitted.split.name},
    )


def _health(fitted: Fitted, accuracy: float) -> dict[str, float]:
    curves = fitted.record.curves
    return health.measure(
        health.Curves(curves["loss"], curves["val_loss"], curves["val_accuracy"]),
        probe(fitted.model, fitted.split.x_val, fitted.split.y_val),
        accuracy=accuracy,
        parameters=fitted.plan.parameters,
        classes=fitted.plan.classes,
    )


def _costs(fitted: Fitted, accuracy: float) -> dict[str, float]:
    plan = fitted.plan
    return {
        "training_time": fitted.fit_s,
        "memory_efficiency": health.memory_efficiency(accuracy, plan.memory_bytes, plan.classes),
        "inference_speed": fitted.record.images_per_s,
        "parameters": float(plan.parameters),
        "training_memory_mb": plan.memory_bytes / _MB,
    }


def _time_again(fitted: Fitted) -> None:
    """Time three more passes: a trial of few epochs has seen little but the traced first one."""
    watch = SpeedWatch(fitted.plan, fitted.record)
    for _ in range(3):
        _accuracy(fitted.model, fitted.split.x_val, fitted.split.y_val, watch)


def _accuracy(model: keras.Model, x: Any, y: Any, *callbacks: Any) -> float:
    _, accuracy = model.evaluate(
        x, y, batch_size=EVALUATION_BATCH, verbose=0, callbacks=list(callbacks)
    )
    return float(accuracy)


def _write(
    ctx: TrialContext, settings: Mapping[str, Any], fitted: Fitted, metrics: Mapping[str, float]
) -> tuple[str, ...]:
    """Write the model and the data of the plots; returns the file names.

    Of a trial that cannot be the best, because `settings["beat"]` was better before it began,
    nobody asks for either: only `plots: all` wants its plots.
    """
    folder = ctx.workdir
    if folder is None:
        return ()
    names = []
    contends = _contends(ctx.objectives, settings.get("beat"), metrics)
    if contends and settings.get("save_model", True):
        _save(fitted.model, folder / "model.keras")
        names.append("model.keras")
    plots = settings.get("plots", "best")
    if plots == "all" or (plots == "best" and contends):
        _dump(folder / "history.json", fitted.record.curves)
        matrix = confusion(fitted.model, fitted.split)
        _dump(folder / "confusion.json", {"classes": fitted.split.classes, "matrix": matrix})
        names += ["history.json", "confusion.json"]
    return tuple(names)


def _contends(objectives: Sequence[str], beat: float | None, metrics: Mapping[str, float]) -> bool:
    """Say whether this trial may be the best of its sweep."""
    if beat is None or len(objectives) != 1:
        return True
    value = metrics[objectives[0]]
    return value < beat if objectives[0] in MINIMIZED else value > beat


def _save(model: keras.Model, path: Path) -> None:
    """Save the network without its optimizer: a third of the size, and quicker."""
    keras.Model(model.input, model.output).save(path)


def confusion(model: keras.Model, split: Split) -> list[list[int]]:
    """Return counts of validation images: rows are true classes, columns what the model says.

    Called eagerly, batch by batch: tracing `predict` would cost more than the pass itself.
    """
    count = len(split.classes)
    matrix = np.zeros((count, count), dtype=np.int64)
    for start in range(0, len(split.y_val), EVALUATION_BATCH):
        part = slice(start, start + EVALUATION_BATCH)
        answers = np.asarray(model(split.x_val[part], training=False)).argmax(axis=1)
        np.add.at(matrix, (split.y_val[part], answers), 1)
    return [[int(cell) for cell in row] for row in matrix]


def _dump(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, allow_nan=False), encoding="utf-8")
