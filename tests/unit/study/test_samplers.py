from __future__ import annotations

import json

import numpy as np
import optuna
import pytest

from hpocli.errors import ConfigError, HpoError
from hpocli.study import SweepStudy, log_ndtr, trial_seed
from hpocli.study.options import need
from hpocli.study.samplers import build_sampler, random_states

BOTH_WAYS = ["random", "tpe", "qmc", "nsga2", "cmaes", "grid"]
SMALL = {"nsga2": {"population_size": 4}, "cmaes": {"popsize": 4}}


def value_of(params: dict) -> float:
    return abs(params["dropout"] - 0.3) + params["units"] / 500 + (0.1 if params["norm"] else 0)


def run(study: SweepStudy, trials: int) -> list[dict]:
    asked = []
    for _ in range(trials):
        proposal = study.ask()
        asked.append(proposal.params)
        study.tell(proposal.number, "completed", [value_of(proposal.params)])
    return asked


def options_of(name: str) -> dict:
    if name == "grid":
        return {"search_space": {"lr": [1e-4, 1e-3]}}
    return SMALL.get(name, {})


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_a_resumed_study_goes_on_as_if_it_had_never_stopped(name, make_config, open_study) -> None:
    config = make_config(name, options=options_of(name), directions=("minimize",), seed=7)
    straight = run(open_study(config, file="straight"), 24)
    first = open_study(config, file="halves")
    halves = run(first, 11)
    first.close()
    halves += run(open_study(config, create=False, file="halves"), 13)
    assert halves == straight


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_another_seed_proposes_other_points(name, make_config, open_study) -> None:
    options = options_of(name)
    one = run(open_study(make_config(name, options=options, seed=1), file="1"), 4)
    two = run(open_study(make_config(name, options=options, seed=2), file="2"), 4)
    assert one != two


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_proposals_are_plain_json_within_the_space_and_carry_fixed_values(
    name, make_config, open_study
) -> None:
    config = make_config(name, options=options_of(name))
    for params in run(open_study(config), 12):
        assert json.loads(json.dumps(params)) == params
        assert [type(v) for v in params.values()] == [float, float, int, int, bool, str]
        assert params["dataset"] == "digits"
        assert params["layers"] in (1, 3, 5, 7, 9)
        assert 16 <= params["units"] <= 512


def test_a_resume_repeats_no_proposal_of_random_search(make_config, open_study) -> None:
    config = make_config("random")
    first = open_study(config)
    lrs = [p["lr"] for p in run(first, 10)]
    first.close()
    lrs += [p["lr"] for p in run(open_study(config, create=False), 10)]
    assert len(set(lrs)) == 20


def test_asks_beside_running_trials_do_not_repeat_each_other(make_config, open_study) -> None:
    study = open_study(make_config("tpe", concurrent_workers=8))
    run(study, 12)
    lrs = [study.ask().params["lr"] for _ in range(8)]
    assert len(set(lrs)) == 8


@pytest.mark.parametrize(
    ("workers", "multivariate"), [(1, True), (16, True), (17, False), (64, False)]
)
def test_tpe_is_multivariate_up_to_sixteen_workers(make_config, workers, multivariate) -> None:
    sampler = build_sampler(make_config("tpe", concurrent_workers=workers))._sampler
    assert sampler._multivariate is multivariate
    assert sampler._constant_liar is True


def test_options_of_the_user_win_over_the_defaults(make_config) -> None:
    options = {"multivariate": False, "constant_liar": False, "n_startup_trials": 3}
    sampler = build_sampler(make_config("tpe", options=options))._sampler
    assert (sampler._multivariate, sampler._constant_liar) == (False, False)
    assert sampler._n_startup_trials == 3


def test_the_seed_option_wins_over_the_study_seed(make_config, open_study) -> None:
    one = run(open_study(make_config(seed=1, options={"seed": 9}), file="a"), 3)
    two = run(open_study(make_config(seed=2, options={"seed": 9}), file="b"), 3)
    assert one == two


def test_genetic_operators_are_reachable_by_name(make_config, open_study) -> None:
    options = {"population_size": 4, "crossover": "SBXCrossover"}
    config = make_config("nsga2", options=options)
    assert len(run(open_study(config), 12)) == 12


@pytest.mark.parametrize(
    ("name", "options", "message", "hint"),
    [
        ("tpe", {"n_startup_trails": 3}, "sampler tpe has no option 'n_startup_trails'", "trials"),
        ("tpe", {"n_startup_trials": "ten"}, "'n_startup_trials' must be int", ""),
        ("tpe", {"constant_liar": 3}, "'constant_liar' must be bool", ""),
        ("tpe", {"n_startup_trials": True}, "'n_startup_trials' must be int", ""),
        ("tpe", {"gamma": 3}, "'gamma' takes a Python object", ""),
        ("tpe", {"seed": "x"}, "'seed' must be an int", ""),
        ("qmc", {"qmc_type": "nets"}, "sampler qmc: .*nets", ""),
        ("nsga2", {"crossover": "Nope"}, "no crossover called 'Nope'", ""),
        ("nsga2", {"population_size": 1}, "population_size", ""),
    ],
)
def test_a_wrong_option_is_one_sentence(make_config, name, options, message, hint) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build_sampler(make_config(name, options=options))
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message


def test_cmaes_refuses_several_objectives(make_config) -> None:
    config = make_config("cmaes", directions=("minimize",) * 2, objectives=("a", "b"))
    with pytest.raises(ConfigError, match="one objective"):
        build_sampler(config)


def test_a_missing_package_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match="needs the package surely_not_there") as caught:
        need("surely_not_there", "gp", "sampler gp")
    assert "hpocli[gp]" in caught.value.hint


@pytest.mark.parametrize("name", ["random", "tpe", "qmc", "nsga2", "cmaes"])
def test_the_generators_inside_optunas_samplers_are_where_we_look(name, make_config) -> None:
    sampler = build_sampler(make_config(name))
    states = list(random_states(sampler._sampler))
    assert states
    assert all(isinstance(state, np.random.RandomState) for state in states)


def test_a_sampler_that_hides_its_generator_is_built_anew_with_the_same_effect(
    make_config, open_study
) -> None:
    config = make_config("random", seed=3)
    seen = []
    for file in "ab":
        study = open_study(config, file=file)
        study._study.sampler._states = ()
        seen.append(run(study, 5))
    assert seen[0] == seen[1]
    assert len({p["lr"] for p in seen[0]}) == 5


def test_a_sampler_that_breaks_is_reported_and_leaves_no_trial_running(
    make_config, open_study, monkeypatch
) -> None:
    study = open_study(make_config("random"))
    run(study, 1)

    def broken(*args: object) -> None:
        raise ZeroDivisionError("no idea")

    monkeypatch.setattr(optuna.samplers.RandomSampler, "sample_independent", broken)
    with pytest.raises(HpoError, match="sampler random failed: ZeroDivisionError: no idea"):
        study.ask()
    monkeypatch.undo()
    assert [t.state for t in study.known_trials()] == ["completed", "failed"]
    run(study, 1)


def test_trial_seeds_are_fixed_for_ever_and_differ() -> None:
    seeds = {trial_seed(seed, number) for seed in range(10) for number in range(100)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert trial_seed(42, 7) == 1955881634


def test_scipys_log_ndtr_stands_in_from_trial_fifty_on_and_only_there() -> None:
    found = log_ndtr.both()
    assert found is not None, "SciPy's function no longer agrees with Optuna's"
    module, stock, quick = found
    log_ndtr.choose(50)
    assert module._log_ndtr is quick
    log_ndtr.choose(49)
    assert module._log_ndtr is stock


def test_an_unknown_optuna_keeps_its_own_log_ndtr(monkeypatch) -> None:
    monkeypatch.setattr(optuna, "__version__", "6.0.0")
    log_ndtr.both.cache_clear()
    try:
        assert log_ndtr.both() is None
        log_ndtr.choose(99)
    finally:
        log_ndtr.both.cache_clear()
