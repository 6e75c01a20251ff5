"""Defaults < file < environment < key=value < options, and where a problem is said to be."""

from __future__ import annotations

from pathlib import Path

import pytest

D = "dataset: digits\n"


def test_each_layer_wins_over_the_one_below(sweep) -> None:
    assert sweep.load(D).trials == 20
    text = D + "trials: 1\n"
    environ = {"HPO_TRIALS": "2"}
    assert sweep.load(text).trials == 1
    assert sweep.load(text, environ=environ).trials == 2
    assert sweep.load(text, "trials=3", environ=environ).trials == 3
    assert sweep.load(text, "trials=3", environ=environ, options={"trials": 4}).trials == 4
    assert sweep.load(text, options={"trials": None}).trials == 1


def test_no_file_is_needed(sweep) -> None:
    config = sweep.load(None, "dataset=digits", environ={"HPO_RUNS_DIR": "/data/runs"})
    assert (config.dataset, config.runs_dir, config.run_name) == ("digits", "/data/runs", "digits")


def test_dotted_keys_reach_inside(sweep) -> None:
    config = sweep.load(
        D + "space:\n  dropout: {high: 0.3}\n",
        "space.dropout.low=0.1",
        "settings.patience=3",
        "retries.lost=0",
        "sampler.name=random",
        "sampler.seed=7",
    )
    dropout = next(p for p in config.space.params if p.name == "dropout")
    assert (dropout.low, dropout.high) == (0.1, 0.3)
    assert config.settings["patience"] == 3
    assert (config.retries.lost, config.sampler.name, config.seed) == (0, "random", 7)
    assert config.sampler.options == {}


def test_another_sampler_drops_the_options_of_the_first(sweep) -> None:
    text = D + "sampler: {name: tpe, n_startup_trials: 4}\n"
    assert sweep.load(text).sampler.options == {"n_startup_trials": 4}
    assert sweep.load(text, "sampler.n_ei_candidates=9").sampler.options == {
        "n_startup_trials": 4,
        "n_ei_candidates": 9,
    }
    assert sweep.load(text, "sampler=random").sampler.options == {}


def test_a_seed_named_twice_with_two_values_is_refused(sweep) -> None:
    assert "differ" in sweep.problem(D + "seed: 1\nsampler: {seed: 2}\n")
    assert sweep.load(D + "seed: 1\n", "sampler.seed=2").seed == 2
    assert sweep.load(D + "sampler: {seed: 2}\n", "seed=1").seed == 1


def test_a_command_on_top_takes_the_place_of_a_trainer(sweep) -> None:
    config = sweep.load(D + "trainer: keras-image\nspace: {x: [1, 2]}\n", "command=[echo, '{x}']")
    assert (config.trainer.kind, config.trainer.command) == ("command", ("echo", "{x}"))


def test_text_keys_take_arguments_as_they_are(sweep) -> None:
    assert sweep.load(D, "run_name=007").run_name == "007"
    assert "put it in quotes" in sweep.problem(D + "run_name: 7\n")


def test_paths_start_from_where_they_were_written(sweep, tmp_path: Path) -> None:
    (tmp_path / "data.npz").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "more.npz").touch()
    assert sweep.load("dataset: data.npz\n").dataset == str((tmp_path / "data.npz").resolve())
    assert sweep.load(D, "dataset=more.npz").dataset.endswith("elsewhere/more.npz")
    assert "not in" in sweep.problem(D, "dataset=data.npz")


def test_options_of_the_executor_are_keys(sweep) -> None:
    config = sweep.load(D + "threads: 3\ngpu: true\nendpoint: abc\n", "cache=/tmp/x")
    assert config.executor_options == {
        "threads": 3,
        "grace_s": 5.0,
        "gpu": True,
        "cache": Path("/tmp/x"),
    }


@pytest.mark.parametrize(
    ("text", "argument", "start"),
    [
        (D + "seed: 1\ntrials: x\n", None, "sweep.yaml line 3: trials must be an integer, not 'x'"),
        (D, "trials=x", "argument trials=x: trials must be an integer, not 'x'"),
        (D, "trials", "argument trials: not of the form key=value"),
        (D, "trials.x=1", "argument trials.x=1: 'trials' has no parts"),
        (D, "executor=far", "argument executor=far: the command decides the executor"),
        (D, "space.dropout=[0.1", "argument space.dropout=[0.1: not YAML"),
        (
            D + "space:\n  dropout: [0.1, 0.2]\n",
            "space.dropout.high=1",
            "argument space.dropout.high=1: space.dropout.high cannot be set: space.dropout is a list in sweep.yaml line 3",
        ),
    ],
)
def test_a_problem_names_its_place(sweep, text: str, argument: str | None, start: str) -> None:
    assert sweep.problem(text, *([argument] if argument else [])).startswith(start)


def test_a_variable_is_named_in_its_problem(sweep) -> None:
    message = sweep.problem(D, environ={"HPO_SEED": "-1"})
    assert message.startswith("environment variable HPO_SEED: seed must be at least 0")


def test_a_password_is_neither_taken_nor_shown(sweep) -> None:
    message = sweep.problem(D, "storage=postgresql://me:hunter2@db/x")
    assert "hunter2" not in message
    assert "PGPASSWORD" in message
    assert sweep.load(D, "storage=postgresql://me@db/x").storage == "postgresql://me@db/x"
