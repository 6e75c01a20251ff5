import json
import math
import threading

import pytest

pytest.importorskip("tensorflow")

import keras
import numpy as np

from hpo_handler import epochs, models, training
from hpo_handler.catalog import IMAGE_OBJECTIVES
from hpo_handler.context import TrialContext, TrialDiverged, TrialStopped
from hpo_handler.models import ParameterError

# TensorFlow 2.21's EagerTensor knows NumPy 1's __array__; Keras calls it with NumPy 2's copy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL = {
    "conv_layers": 1,
    "filters_1": 8,
    "dense_layers": 0,
    "learning_rate": 0.01,
    "batch_size": 128,
}


def context(
    params=SMALL, objectives=("val_accuracy",), workdir=None, stop=None, seed=1, **settings
):
    reports = []
    ctx = TrialContext(
        params=params,
        settings={"dataset": "digits", "max_epochs": 3, "min_epochs": 1, **settings},
        objectives=objectives,
        seed=seed,
        workdir=workdir,
        on_report=reports.append,
        stop=stop,
    )
    return ctx, reports


@pytest.mark.parametrize("pooling", ["max", "average", "strided", "none"])
def test_four_layers_fit_an_image_smaller_than_their_pooling(pooling):
    params = {"conv_layers": 4, "pooling": pooling, "batch_normalization": True}
    model = models.build(params, (5, 3, 1), 4, 1 / 16)
    answers = model(np.zeros((2, 5, 3, 1), np.uint8), training=False)
    assert answers.shape == (2, 4)
    assert np.allclose(np.asarray(answers).sum(axis=1), 1)


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_optimizer_of_the_space_is_built(name):
    built = models.optimizer({"optimizer": name, "learning_rate": 0.25})
    assert type(built).__name__.lower() == name
    assert float(built.learning_rate) == 0.25


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"pooling": "median"}, "pooling must be one of"),
        ({"filters_1": 0}, "filters_1 must be a whole number"),
        ({"dropout": 1.0}, "dropout must be a number"),
        ({"activation": "rulu"}, "activation 'rulu' is unknown"),
    ],
)
def test_a_parameter_outside_its_range_is_named(params, words):
    with pytest.raises(ParameterError, match=words):
        models.build(params, (8, 8, 1), 10, 1.0)


def test_a_parameter_that_nothing_reads_is_refused_with_the_nearest_name():
    ctx, _ = context({"learning_rat": 0.1})
    with pytest.raises(ParameterError, match="did you mean 'learning_rate'"):
        training.train(ctx)


def test_more_weights_and_larger_batches_need_more_memory():
    model = models.build({"filters_1": 8}, (8, 8, 1), 10, 1.0)
    small = models.training_bytes(model, {"batch_size": 32, "optimizer": "sgd"})
    assert models.training_bytes(model, {"batch_size": 64, "optimizer": "sgd"}) > small
    assert models.training_bytes(model, {"batch_size": 32, "optimizer": "adam"}) > small


def test_a_trial_reports_every_epoch_and_leaves_a_model_and_its_curves(tmp_path):
    ctx, reports = context(workdir=tmp_path)
    outcome = training.train(ctx)
    assert [r.step for r in reports] == [0, 1, 2]
    assert {r.total_steps for r in reports} == {3}
    assert outcome.metrics["val_accuracy"] == pytest.approx(max(r.value for r in reports))
    assert 0.15 < outcome.metrics["val_accuracy"] <= 1
    assert set(outcome.artifacts) == {"model.keras", "history.json", "confusion.json"}
    assert all(0 <= value <= 1 for value in outcome.health.values())
    assert 0 < outcome.fit_s < 60
    curves = json.loads((tmp_path / "history.json").read_text())
    assert curves["val_accuracy"] == [r.value for r in reports]
    confusion = np.array(json.loads((tmp_path / "confusion.json").read_text())["matrix"])
    right = confusion.trace() / confusion.sum()
    assert right == pytest.approx(outcome.metrics["val_accuracy"], abs=1e-6)
    model = keras.models.load_model(tmp_path / "model.keras")
    assert model.count_params() == outcome.metrics["parameters"]


@pytest.mark.parametrize(
    ("objective", "beat", "plots", "files"),
    [
        ("val_accuracy", 1.0, "best", set()),
        ("val_accuracy", 1.0, "all", {"history.json", "confusion.json"}),
        ("val_accuracy", 0.0, "best", {"model.keras", "history.json", "confusion.json"}),
        ("val_loss", 0.0, "best", set()),
        ("val_loss", 99.0, "none", {"model.keras"}),
    ],
)
def test_a_trial_that_cannot_be_the_best_spares_its_files(tmp_path, objective, beat, plots, files):
    ctx, _ = context(
        objectives=(objective,), workdir=tmp_path, beat=beat, plots=plots, max_epochs=1
    )
    outcome = training.train(ctx)
    assert set(outcome.artifacts) == files == {path.name for path in tmp_path.iterdir()}


def test_every_objective_of_the_catalog_is_measured():
    metric = [o["name"] for o in IMAGE_OBJECTIVES]
    ctx, reports = context(objectives=tuple(metric), max_epochs=1)
    outcome = training.train(ctx)
    assert set(metric) <= set(outcome.metrics)
    assert all(math.isfinite(value) for value in outcome.metrics.values())
    assert reports[0].metrics["val_loss"] > 0


def test_a_trial_stops_within_a_batch_once_it_is_asked_to():
    stop = threading.Event()
    stop.set()
    ctx, reports = context(stop=stop)
    with pytest.raises(TrialStopped):
        training.train(ctx)
    assert reports == []


def test_a_loss_that_is_not_finite_ends_the_trial_as_diverged():
    ctx, _ = context(
        {**SMALL, "activation": "exponential", "optimizer": "sgd", "learning_rate": 1e3}
    )
    with pytest.raises(TrialDiverged):
        training.train(ctx)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_values_with_deterministic_ops():
    first = training.train(context(deterministic=True)[0])
    second = training.train(context(deterministic=True)[0])
    other = training.train(context(deterministic=True, seed=2)[0])
    assert first.metrics["val_loss"] == second.metrics["val_loss"]
    assert first.metrics["val_loss"] != other.metrics["val_loss"]


def plan(**changes):
    numbers = {
        "epochs": 10,
        "min_epochs": 2,
        "patience": 2,
        "monitor": "val_accuracy",
        "restore_best": False,
        "parameters": 1000,
        "memory_bytes": 2**20,
        "classes": 10,
        "val_images": 100,
    }
    return epochs.Plan(**{**numbers, **changes})


class Stoppable:
    stop_training = False


def run_epochs(a_plan, accuracies, objective="val_accuracy", losses=None):
    """Feed epochs to the callback that the fit would; returns its record and the reports."""
    reports = []
    ctx = TrialContext(params={}, objectives=(objective,), on_report=reports.append)
    record = epochs.Record()
    watch = epochs.Watch(ctx, a_plan, record)
    watch.set_model(Stoppable())
    for epoch, accuracy in enumerate(accuracies):
        loss = losses[epoch] if losses else 1.0
        logs = {"loss": 1.0, "accuracy": 0.5, "val_loss": loss, "val_accuracy": accuracy}
        watch.on_epoch_end(epoch, logs)
        if watch.model.stop_training:
            break
    return record, reports


def test_training_ends_once_nothing_has_improved_for_the_patience():
    record, reports = run_epochs(plan(), [0.1, 0.5, 0.4, 0.4, 0.9])
    assert len(reports) == 4
    assert record.best_epoch == 1


def test_training_goes_on_until_the_least_epochs():
    _, reports = run_epochs(plan(min_epochs=4), [0.5, 0.4, 0.4, 0.4, 0.4])
    assert len(reports) == 4


def test_no_patience_trains_to_the_end():
    _, reports = run_epochs(plan(patience=0), [0.5] * 10)
    assert len(reports) == 10


def test_equal_accuracy_with_a_lower_loss_is_better():
    record, _ = run_epochs(plan(), [0.5, 0.5], losses=[1.0, 0.9])
    assert record.best_epoch == 1


def test_the_loss_decides_where_it_is_the_objective():
    record, reports = run_epochs(
        plan(monitor="val_loss"), [0.5, 0.9], objective="val_loss", losses=[0.5, 0.6]
    )
    assert record.best_epoch == 0
    assert [r.value for r in reports] == [0.5, 0.6]


def test_elapsed_time_is_reported_for_training_time():
    _, reports = run_epochs(plan(), [0.1, 0.2], objective="training_time")
    assert 0 <= reports[0].value <= reports[1].value < 10


def test_an_objective_known_only_at_the_end_reports_the_accuracy():
    _, reports = run_epochs(plan(), [0.1, 0.2], objective="gradient_health")
    assert [r.value for r in reports] == [0.1, 0.2]
