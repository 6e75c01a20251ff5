"""What cannot work is refused before anything starts, in one sentence."""

from __future__ import annotations

import pytest

D = "dataset: digits\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (D + "triasl: 3", "line 2: triasl is not a known key | did you mean 'trials'?"),
        (D + "theads: 3", "theads is not a known key | did you mean 'threads'?"),
        (D + "trials: 1_000", "must be an integer, not '1_000' | write 1000"),
        (D + "trials: no", "must be an integer, not 'no'"),
        (D + "trials: 0", "trials must be at least 1"),
        (D + "trials: 1000001", "trials must be at most 1000000"),
        (D + "concurrent_workers: 1001", "must be at most 1000"),
        (D + "gpu: 1", "gpu must be true or false"),
        (D + "threads: 65", "threads must be between 0 and 64"),
        (D + "grace_s: .inf", "grace_s must be a finite number"),
        (D + "mode: healty", "did you mean 'health'?"),
        (D + "optimize_for: overall_health", "measured only with mode=health"),
        (D + "optimize_for: val_acuracy", "did you mean 'val_accuracy'?"),
        (D + "optimize_for: []", "one to ten"),
        (D + "optimize_for: val_loss\ndirection: maximize", "val_loss, which is minimized"),
        (D + "directions: [maximize, minimize]", "lists 2 for 1"),
        (D + "optimize_for: [val_loss, val_accuracy]\npruner: median", "cannot be pruned"),
        (D + "min_epochs_per_trial: 30", "above max_epochs_per_trial, which is 20"),
        (D + "sampler: tpee", "did you mean 'tpe'?"),
        (D + "sampler: {name: tpe, n_startup_trails: 3}", "line 2: sampler tpe has no option"),
        (D + "sampler: {name: tpe, gamma: 3}", "Python object"),
        (D + "sampler: {name: tpe, prior_weight: .nan}", "prior_weight must be a finite number"),
        (D + "pruner: threshold", "lower or upper"),
        (D + "sampler: grid", "space.learning_rate is continuous"),
        (D + "concurrent_workers: 8\nreproducible: true", "look_ahead: 8"),
        (D + "timeout: 1x", "above 0"),
        (D + "timeout: .inf", "above 0"),
        (D + "trial_timeout: 0s", "above 0"),
        (D + "run_name: ../up", "run_name must be letters"),
        (D + "run_name: latest", "newest run"),
        (D + "storage: study.db", "storage URL"),
        (D + "settings: {patince: 3}", "did you mean 'patience'?"),
        (D + "settings: {patience: x}", "settings.patience must be an integer"),
        (D + "settings: {patience: true}", "settings.patience must be an integer"),
        (D + "retries: {lsot: 1}", "did you mean 'lost'?"),
        (D + "enqueue: [{dropout: 3}]", "enqueue[0].dropout is 3, outside 0.0 to 0.5"),
        (D + "enqueue:\n- {}\n- {dropuot: 0.1}", "line 4: enqueue[1].dropuot"),
        (D + "enqueue: [{units_1: 17}]", "not 16 plus a multiple of 16"),
        (D + "enqueue: [{optimizer: adam, momentum: 0.5}]", "exists only when optimizer is 'sgd'"),
        (D + "enqueue: [{flag: 1}]", "not one of its choices"),
        (D + "space: {dropot: [0.1, 0.2]}", "did you mean 'dropout'?"),
        ("dataset: digts", "did you mean 'digits'?"),
        ("trials: 3", "dataset is not given"),
        ("dataset: ./none.npz", "not in"),
        ("dataset: ./" + "x" * 300, "not in"),
        (D + "trainer: keras-imag", "did you mean 'keras-image'?"),
        (D + "trainer: keras-image\ncommand: [x]", "drop one of them"),
        (D + "command: [python, 3]", "command[1] must be text"),
        (D + "command: []", "command must"),
        (D + "command: [p, '{lr}']\nspace: {rl: [1, 2]}", "command[1] names {lr}"),
        (
            D + "command: [p, '{b}']\nspace: {a: [1, 2], b: {choices: [1, 2], when: {a: 1}}}",
            "which not every trial has",
        ),
        (D + "command: [p]", "sweep.yaml: space is empty"),
        (
            "command: [./none.sh]\nspace: {x: [1, 2]}",
            "command[0] names './none.sh', which is not in",
        ),
        ("command: [./plain.sh]\nspace: {x: [1, 2]}", "not executable | chmod +x ./plain.sh"),
        ("command: [no-such-program]\nspace: {x: [1, 2]}", "is not on the PATH"),
        ("command: [echo]\nmode: health\nspace: {x: [1, 2]}", "a command measures no health"),
        ("dataset: /nowhere/none.npz", "names '/nowhere/none.npz', which does not exist"),
    ],
)
def test_a_bad_sweep_is_one_sentence(sweep, text: str, words: str) -> None:
    (sweep.folder / "plain.sh").touch(mode=0o644)
    assert words in sweep.problem(text)


def test_a_grid_of_a_billion_points_is_refused_at_once(sweep) -> None:
    space = "".join(f"  p{i}: {{type: int, low: 0, high: 9}}\n" for i in range(9))
    text = f"command: [echo]\nsampler: grid\nspace:\n{space}"
    assert "more than 1,000,000 points" in sweep.problem(text)
    assert sweep.load(text.replace("high: 9", "high: 1")).space.grid_size() == 512


def test_a_missing_extra_is_named(sweep, monkeypatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "torch" else real(name, *a)
    )
    assert "pip install 'hpocli[gp]'" in sweep.problem(D + "sampler: gp")


def test_cmaes_needs_a_number_to_search(sweep) -> None:
    text = "command: [p]\nsampler: cmaes\nspace: {x: [a, b]}"
    assert "only choices" in sweep.problem(text)


def test_several_objectives_have_no_pruner_unless_one_is_asked_for(sweep) -> None:
    config = sweep.load(D + "optimize_for: [val_accuracy, val_loss]")
    assert config.pruner.name == "none"
    assert config.directions == ("maximize", "minimize")
    assert sweep.load(D).pruner.name == "median"


def test_an_unknown_executor_is_named(sweep) -> None:
    assert "did you mean 'local'?" in sweep.problem(D, executor="locl")


def test_fewest_epochs_follow_a_lower_most(sweep) -> None:
    config = sweep.load(D + "max_epochs_per_trial: 2")
    assert (config.min_epochs_per_trial, config.max_epochs_per_trial) == (2, 2)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("90s", 90.0), ("10m", 600.0), ("1h30m", 5400.0)]
)
def test_times_are_seconds_or_text(sweep, text: str, seconds: float) -> None:
    assert sweep.load(D + f"timeout: {text}").timeout_s == seconds


def test_what_only_another_machine_has_is_not_looked_for_here(sweep) -> None:
    text = "command: [no-such-program]\nspace: {x: [1, 2]}\ndataset: /nowhere/none.npz"
    assert sweep.load(text, executor="far").dataset == "/nowhere/none.npz"


def test_without_file_and_keys_the_first_step_is_named(sweep) -> None:
    assert "no sweep file was given | hpo init sweep.yaml" in sweep.problem(None)
