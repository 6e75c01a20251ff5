from __future__ import annotations

import optuna
import pytest

from hpocli.errors import ConfigError
from hpocli.spi import TrainerRef
from hpocli.study.pruners import build_pruner

EVERY = ["none", "median", "percentile", "asha", "hyperband", "patient", "wilcoxon", "threshold"]
NEEDED = {"threshold": {"lower": 0.2}}


def curve(study, values: list[float], *, prune: bool = True) -> int | None:
    """Run one trial step by step; return the step at which it was pruned."""
    number = study.ask().number
    for step, value in enumerate(values):
        study.report(number, step, value)
        if prune and study.should_prune(number):
            study.tell(number, "pruned")
            return step
    study.tell(number, "completed", [values[-1]])
    return None


@pytest.mark.parametrize("name", [n for n in EVERY if n not in ("none", "wilcoxon")])
def test_a_hopeless_trial_is_pruned_and_a_good_one_is_not(name, make_config, open_study) -> None:
    config = make_config(pruner=name, pruner_options=NEEDED.get(name), max_epochs_per_trial=20)
    study = open_study(config)
    for top in (0.9, 0.8, 0.85, 0.7, 0.75, 0.6):
        curve(study, [top * (s + 5) / 24 for s in range(20)], prune=False)
    assert curve(study, [0.95 * (s + 6) / 25 for s in range(20)]) is None
    hopeless = [curve(study, [0.1 - s * 0.001 for s in range(20)]) for _ in range(6)]
    assert any(step is not None for step in hopeless)
    assert all(step is None or step >= 4 for step in hopeless), "the first 5 epochs are free"


def test_wilcoxon_prunes_where_the_same_steps_are_worse(make_config, open_study) -> None:
    study = open_study(make_config(pruner="wilcoxon"))
    assert curve(study, [0.9 + s / 1000 for s in range(20)]) is None
    assert curve(study, [0.1 + s / 1000 for s in range(20)]) is not None


def test_none_prunes_nothing(make_config, open_study) -> None:
    study = open_study(make_config(pruner="none"))
    curve(study, [1.0] * 10)
    assert curve(study, [0.0] * 10) is None


@pytest.mark.parametrize("kind", ["function", "command"])
def test_a_trainer_of_the_users_has_no_free_steps(make_config, kind) -> None:
    trainer = TrainerRef(kind=kind, name="m:f")
    assert build_pruner(make_config(pruner="median", trainer=trainer))._n_warmup_steps == 0
    assert build_pruner(make_config(pruner="asha", trainer=trainer))._min_resource == 1


def test_the_first_epochs_of_a_builtin_trainer_are_free(make_config) -> None:
    keys = {"min_epochs_per_trial": 5, "max_epochs_per_trial": 30}
    assert build_pruner(make_config(pruner="median", **keys))._n_warmup_steps == 4
    assert build_pruner(make_config(pruner="asha", **keys))._min_resource == 4
    hyperband = build_pruner(make_config(pruner="hyperband", **keys))
    assert (hyperband._min_resource, hyperband._max_resource) == (4, 30)


def test_options_of_the_user_win(make_config) -> None:
    options = {"n_startup_trials": 1, "n_warmup_steps": 7, "interval_steps": 2, "n_min_trials": 3}
    pruner = build_pruner(make_config(pruner="median", pruner_options=options))
    assert (pruner._n_startup_trials, pruner._n_warmup_steps) == (1, 7)
    asha = build_pruner(make_config(pruner="asha", pruner_options={"min_resource": "auto"}))
    assert asha._min_resource is None


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        ("asha", optuna.pruners.SuccessiveHalvingPruner),
        ({"name": "percentile", "percentile": 10}, optuna.pruners.PercentilePruner),
        (None, type(None)),
    ],
)
def test_patient_wraps_what_it_is_told(make_config, inner, kind) -> None:
    options = {"wrapped_pruner": inner, "patience": 2}
    pruner = build_pruner(make_config(pruner="patient", pruner_options=options))
    assert type(pruner._wrapped_pruner) is kind


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("median", {"n_warmup": 3}, "pruner median has no option 'n_warmup'"),
        ("median", {"n_warmup_steps": "x"}, "'n_warmup_steps' must be int"),
        ("asha", {"reduction_factor": 1}, "pruner asha: .*reduction_factor"),
        ("threshold", {}, "Either lower or upper must be specified"),
        ("patient", {"wrapped_pruner": "nope"}, "'wrapped_pruner' must be"),
        ("percentile", {"percentile": 101}, "between 0 and 100"),
    ],
)
def test_a_wrong_option_is_one_sentence(make_config, name, options, message) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build_pruner(make_config(pruner=name, pruner_options=options))
    assert "\n" not in caught.value.message
