"""Trains one network for the built-in trainer `keras-image`.

    settings ─► data.load ────┐
    params ───► models.build ─┴─► fit, watched by epochs.Watch ─► measures.outcome

`train(ctx)` is the entrance. It imports TensorFlow; only a trial process imports this module.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from hpo_handler import data, measures, models
from hpo_handler.catalog import IMAGE_SETTINGS
from hpo_handler.context import Outcome, TrialContext
from hpo_handler.data import Split
from hpo_handler.epochs import Plan, Record, Watch

MAX_EPOCHS = 100_000


def preload() -> None:
    """Take what TensorFlow's import left out of garbage collection; called once a process.

    A full collection of it costs a quarter of a second, and every few trials brought one.
    """
    gc.collect()
    gc.freeze()


def train(ctx: TrialContext) -> Outcome:
    """Train, measure and save one network.

    Ends with TrialStopped once `ctx.should_stop()`, with TrialDiverged where the loss is not
    finite, with DataError or ParameterError (one sentence) where the input is unusable.
    """
    settings = {**IMAGE_SETTINGS, **ctx.settings}
    _prepare(ctx, settings)
    models.check_names(ctx.params)
    ctx.stage("loading data")
    split = data.load(settings)
    ctx.stage("training")
    model = models.build(ctx.params, split.image_shape, len(split.classes), split.scale)
    _compile(model, ctx.params, settings)
    plan = _plan(ctx, settings, model, split)
    record, fit_s = _fit(ctx, model, split, plan)
    ctx.stage("evaluating")
    return measures.outcome(ctx, settings, measures.Fitted(model, split, plan, record, fit_s))


def _prepare(ctx: TrialContext, settings: Mapping[str, Any]) -> None:
    """Let the last trial's graphs go, choose the devices, seed everything."""
    keras.config.disable_interactive_logging()
    keras.backend.clear_session(free_memory=False)
    _devices(ctx.gpus)
    if settings["deterministic"]:
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(ctx.seed)


def _devices(gpus: int) -> None:
    """Show TensorFlow the first `gpus` GPUs, memory on demand; the first trial settles it."""
    found = tf.config.list_physical_devices("GPU")
    if not found:
        return
    try:
        tf.config.set_visible_devices(found[:gpus], "GPU")
        for device in found[:gpus]:
            tf.config.experimental.set_memory_growth(device, enable=True)
    except RuntimeError:  # in use already: an earlier trial of this process chose
        return


def _compile(model: keras.Model, params: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    model.compile(
        optimizer=models.optimizer(params),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=bool(settings["jit_compile"]),
        steps_per_execution=_count(settings, "steps_per_execution", 1),
    )


def _plan(ctx: TrialContext, settings: Mapping[str, Any], model: keras.Model, split: Split) -> Plan:
    most = _count({"max_epochs": 20, **settings}, "max_epochs", 1)
    least = min(_count({"min_epochs": 5, **settings}, "min_epochs", 0), most)
    wanted = _count({"epochs": most, **ctx.params}, "epochs", 1)
    return Plan(
        epochs=min(max(wanted, least), most),
        min_epochs=least,
        patience=_count(settings, "patience", 0),
        monitor="val_loss" if ctx.objectives[:1] == ("val_loss",) else "val_accuracy",
        restore_best=bool(settings["restore_best"]),
        parameters=model.count_params(),
        memory_bytes=models.training_bytes(model, ctx.params),
        classes=len(split.classes),
        val_images=len(split.y_val),
    )


def _count(values: Mapping[str, Any], name: str, low: int) -> int:
    value = values[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= MAX_EPOCHS:
        raise models.ParameterError(
            f"{name} must be a whole number from {low} to {MAX_EPOCHS}, not {value!r}"
        )
    return value


def _fit(ctx: TrialContext, model: keras.Model, split: Split, plan: Plan) -> tuple[Record, float]:
    """Fit, and leave the best epoch's weights in the model. Returns the record and the seconds."""
    record = Record()
    begun = time.perf_counter()
    model.fit(
        split.x_train,
        split.y_train,
        validation_data=(split.x_val, split.y_val),
        batch_size=models.batch_size(ctx.params),
        validation_batch_size=measures.EVALUATION_BATCH,
        epochs=plan.epochs,
        verbose=0,
        callbacks=[Watch(ctx, plan, record)],
    )
    fit_s = time.perf_counter() - begun
    if record.best_weights is not None:
        model.set_weights(record.best_weights)
    return record, fit_s
