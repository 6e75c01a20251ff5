"""The plots: which are drawn for which run, and that none of them can break a sweep."""

import builtins
import json
import struct
from dataclasses import replace

import pytest
from synthetic import Sweep, records

from hpocli import plots
from hpocli.axes import scale_of
from hpocli.config import SweepConfig
from hpocli.plots import make_plots
from hpocli.ranking import best_trial
from hpocli.runs import RunFolder
from hpocli.spi import TrainerRef
from hpocli.state import RunState, fold

OF_RUN = {"optimization_history", "parallel_coordinates", "slice", "timeline", "importances"}
IMPORTANCES = {"learning_rate": 0.8, "dropout": 0.2, "odd": float("nan")}


def draw(root, sweep, plot_generation="best"):
    state = fold(records(sweep))
    trainer = TrainerRef(kind="builtin", name="keras-image")
    config = SweepConfig(trainer=trainer, run_name="r", plot_generation=plot_generation)
    warnings = make_plots(RunFolder(root), config, state, IMPORTANCES)
    return warnings, {p.stem for p in (root / "plots").glob("*.png")}, state


def test_none_draws_nothing(tmp_path):
    assert draw(tmp_path, Sweep(trials=2), "none")[:2] == ([], set())


def test_best_draws_the_run_and_its_best_trial(tmp_path):
    best = best_trial(fold(records(Sweep(trials=6))))
    where = RunFolder(tmp_path).trial(best.number)
    where.mkdir(parents=True)
    (where / "history.json").write_text(json.dumps({"loss": [1, None], "val_loss": [2, 1.5]}))
    confusion = {"labels": ["cat", "dog"], "matrix": [[5, 1], [0, 6]]}
    (where / "confusion.json").write_text(json.dumps(confusion))
    warnings, drawn, _ = draw(tmp_path, Sweep(trials=6))
    assert warnings == []
    assert drawn == OF_RUN | {"training_curves", "confusion_matrix"}
    for path in (tmp_path / "plots").glob("*.png"):
        width, height = struct.unpack(">II", path.read_bytes()[16:24])
        assert 300 < width < 3000
        assert 150 < height < 3000


@pytest.mark.slow
def test_all_draws_the_curves_of_every_trial_that_reported(tmp_path):
    draw(tmp_path, Sweep(trials=3), "all")
    assert len(list((tmp_path / "plots" / "trials").glob("*.png"))) == 3


@pytest.mark.slow
def test_several_objectives_draw_their_front(tmp_path):
    sweep = Sweep(trials=5, objectives=("a", "b"), directions=("maximize", "minimize"))
    assert "pareto" in draw(tmp_path, sweep)[1]


def test_the_timeline_shows_a_pruned_trial_as_pruned_and_one_put_back_as_cancelled():
    from hpocli.figures import span_status

    state = fold(records(Sweep(trials=1)))
    (span,), trial = state.spans, state.trials[0]
    cut = replace(span, state="cancelled")
    trial.status = "pruned"
    assert span_status(state, cut) == "pruned"
    trial.attempt += 1  # the trial went on elsewhere
    assert span_status(state, cut) == "cancelled"


def test_a_run_whose_trials_all_failed_has_a_timeline(tmp_path):
    warnings, drawn, _ = draw(tmp_path, Sweep(trials=3, failed=1.0))
    assert (warnings, drawn) == ([], {"timeline", "importances"} & drawn)
    assert "timeline" in drawn


@pytest.mark.slow
def test_a_single_trial_is_enough(tmp_path):
    warnings, drawn, _ = draw(tmp_path, Sweep(trials=1))
    assert warnings == []
    assert drawn >= OF_RUN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        '{"labels": 3, "matrix": ["x"]}',
        '{"matrix": [[1, 2]]}',
        "[" * 5000,
        '{"loss": "x"}',
    ],
)
def test_what_a_trial_left_behind_may_be_anything(tmp_path, text):
    path = tmp_path / "left.json"
    path.write_text(text)
    assert not any(plots._curves(path).values())
    assert plots._confusion(path) is None


def test_without_matplotlib_one_sentence_names_the_extra(tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    (warning,), drawn, _ = draw(tmp_path, Sweep(trials=2))
    assert "hpocli[plots]" in warning
    assert drawn == set()


def test_a_plot_that_fails_is_a_warning_and_the_others_are_drawn(tmp_path, monkeypatch):
    from hpocli import figures

    def broken(state):
        raise RuntimeError("no ink")

    monkeypatch.setattr(figures, "timeline", broken)
    (warning,), drawn, _ = draw(tmp_path, Sweep(trials=2))
    assert "timeline.png" in warning
    assert "no ink" in warning
    assert drawn >= OF_RUN - {"timeline"}
    assert not list((tmp_path / "plots").glob(".*"))


def test_an_empty_run_draws_nothing(tmp_path):
    trainer = TrainerRef(kind="builtin", name="keras-image")
    config = SweepConfig(trainer=trainer, run_name="r")
    assert make_plots(RunFolder(tmp_path), config, RunState(), {}) == []


def test_an_axis_puts_decades_at_equal_distances_where_it_is_logarithmic():
    scale = scale_of([1e-4, 1e-1], log=True)
    assert [round(scale.place(v), 3) for v in (1e-4, 1e-3, 1e-2, 1e-1)] == [0, 0.333, 0.667, 1]
    assert scale.labels == ("0.0001", "0.001", "0.01", "0.1")


def test_categories_are_spread_over_the_axis_with_none_and_truth_among_them():
    scale = scale_of(["adam", None, True])
    assert sorted(scale.place(v) for v in ("adam", None, True)) == [0.0, 0.5, 1.0]
    assert scale.place("unknown") != scale.place("unknown")


def test_a_single_value_lies_in_the_middle():
    assert scale_of([3]).place(3) == 0.5
    assert scale_of(["x"]).place("x") == 0.5
