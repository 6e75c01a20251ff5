"""What comes out of a sweep: the same for the same seed, by any trainer, on any storage."""

import csv
import json
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(120)
SCHEMA = Path(__file__).parents[2] / "docs" / "events.schema.json"


def outcome(hpo, name):
    """Return number, parameters, state and values of every trial, as `hpo trials` tells them."""
    rows = rows_of(hpo, name)
    return [(r["number"], r["params"], r["state"], r["value"]) for r in rows]


def rows_of(hpo, name):
    result = hpo("trials", name, "--format", "json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_a_seed_gives_the_same_parameters_and_values_with_one_worker(hpo):
    hpo.sweep("seeded", trials=12, concurrent_workers=1, sampler="tpe", pruner="median", seed=7)
    for name in ("a", "b"):
        assert hpo("run", "local", "s.yaml", "--quiet", f"run_name={name}").returncode == 0
    assert hpo("run", "local", "s.yaml", "--quiet", "run_name=c", "seed=8").returncode == 0
    assert outcome(hpo, "a") == outcome(hpo, "b")
    assert outcome(hpo, "a") != outcome(hpo, "c")
    hpo.check(12, "a")


def test_enqueued_points_come_first_and_a_warm_start_knows_the_earlier_run(hpo):
    hpo.sweep("seeded", trials=4, enqueue=[{"x": 0.25}, {"x": 0.75}])
    assert hpo("run", "local", "s.yaml", "--quiet").returncode == 0
    assert [params["x"] for _, params, _, _ in outcome(hpo, "s")][:2] == [0.25, 0.75]
    hpo.sweep("seeded", "w.yaml", trials=3, run_name="w", warm_start="s")
    assert hpo("run", "local", "w.yaml", "--quiet").returncode == 0
    assert [r["number"] for r in rows_of(hpo, "w")] in ([0, 1, 2], [4, 5, 6])
    assert len(hpo.named("trial_finished", "w")) == 3


def test_several_objectives_give_a_pareto_front(hpo):
    hpo.sweep("two", trials=5, optimize_for=["a", "b"], directions=["maximize", "maximize"])
    result = hpo("run", "local", "s.yaml")
    assert result.returncode == 0, result.stderr
    assert "pareto     5 trials" in result.stdout
    best = hpo("best", "s")
    assert best.returncode == 0
    assert all(
        row["values"]["a"] + row["values"]["b"] == pytest.approx(1) for row in rows_of(hpo, "s")
    )


def test_a_shell_script_is_a_trainer(hpo):
    script = hpo.write(
        "train.sh",
        """\
        #!/bin/sh
        echo 'a stray {"value": 99} on stdout'
        echo "{\\"step\\": 0, \\"value\\": $1}" >&3
        echo "{\\"value\\": $1}" >&3
        """,
    )
    script.chmod(0o755)
    hpo.write(
        "c.yaml",
        "command: [./train.sh, '{x}']\nspace: {x: {type: float, low: 0, high: 1}}\ntrials: 3\nplot_generation: none\nrun_name: c\n",
    )
    result = hpo("run", "local", "c.yaml", "--quiet")
    assert result.returncode == 0, result.stdout + result.stderr
    assert all(value == pytest.approx(params["x"]) for _, params, _, value in outcome(hpo, "c"))


def test_an_objective_written_for_optuna_runs_unchanged(hpo):
    hpo.write(
        "theirs.py",
        """
        import optuna

        def objective(trial):
            x = trial.suggest_float("x", 0, 1)
            if trial.suggest_categorical("kind", ["a", "b"]) == "b":
                x += trial.suggest_int("n", 1, 3)
            for step in range(3):
                trial.report(x, step)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return x
        """,
    )
    hpo.write(
        "o.yaml",
        """
        trainer: theirs:objective
        space:
          x: {type: float, low: 0, high: 1}
          kind: [a, b]
          n: {type: int, low: 1, high: 3, when: {kind: b}}
        trials: 6
        plot_generation: none
        run_name: o
        """,
    )
    result = hpo("run", "local", "o.yaml", "--quiet")
    assert result.returncode == 0, result.stdout + result.stderr
    for _, params, _, value in outcome(hpo, "o"):
        assert value == pytest.approx(params["x"] + params.get("n", 0))


def test_a_sqlite_storage_resumes_and_may_be_raised(hpo):
    import optuna

    url = f"sqlite:///{hpo.folder}/study.db"
    hpo.sweep("seeded", trials=3, storage=url)
    assert hpo("run", "local", "s.yaml", "--quiet").returncode == 0
    result = hpo("resume", "s", "trials=5", "--quiet")
    assert result.returncode == 0, result.stderr
    study = optuna.load_study(study_name="s", storage=url)
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 5
    assert len(hpo.named("trial_finished")) == 5
    assert hpo("resume", "s", "--quiet").returncode == 0
    assert len(hpo.named("trial_finished")) == 5


def test_resuming_with_more_trials_goes_on_with_the_numbers(hpo):
    hpo.sweep("seeded", trials=3)
    assert hpo("run", "local", "s.yaml", "--quiet").returncode == 0
    before = outcome(hpo, "s")
    result = hpo("resume", "latest", "trials=7")
    assert result.returncode == 0, result.stderr
    assert outcome(hpo, "s")[:3] == before
    hpo.check(7)


def test_json_gives_valid_events_on_stdout_and_nothing_else(hpo):
    from jsonschema import Draft202012Validator

    hpo.sweep("seeded", trials=3)
    result = hpo("run", "local", "s.yaml", "--json")
    assert result.returncode == 0
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert events == hpo.events()
    check = Draft202012Validator(json.loads(SCHEMA.read_text()))
    for event in events:
        check.validate(event)
    assert "best" in result.stderr


def test_quiet_gives_the_last_lines_only(hpo):
    hpo.sweep("seeded", trials=3)
    result = hpo("run", "local", "s.yaml", "--quiet")
    assert "completed" not in result.stdout
    assert "best" in result.stdout
    assert "next:" in result.stdout
    assert result.stderr == ""


def test_trials_as_json_and_csv_have_the_promised_columns(hpo):
    hpo.sweep("mixed", trials=6, settings={"diary": str(hpo.folder / "diary")})
    assert hpo("run", "local", "s.yaml", "--quiet").returncode == 0
    rows = rows_of(hpo, "s")
    assert [row["number"] for row in rows] == list(range(6))
    for row in rows:
        assert {"number", "state", "value", "params", "duration_s"} <= row.keys()
        assert (row["value"] is None) == (row["state"] != "completed")
    table = hpo("trials", "s", "--format", "csv").stdout
    assert len(list(csv.DictReader(table.splitlines()))) == 6


def test_a_trial_that_breaks_off_when_told_to_is_pruned_whatever_it_returns(hpo):
    trainer = """
        def breaks_off(ctx):
            good = ctx.number < 4
            for step in range(40):
                ctx.report(step, 1.0 if good else 0.1)
                if not good:
                    time.sleep(0.05)
                if ctx.should_stop():
                    break
            return 0.1 * step
    """
    with (hpo.folder / "work.py").open("a") as work:
        work.write(textwrap.dedent(trainer))
    pruner = {"name": "median", "n_startup_trials": 3}
    hpo.sweep("breaks_off", trials=6, concurrent_workers=1, pruner=pruner)
    assert hpo("run", "local", "s.yaml", "--quiet").returncode == 0
    states = [(row["state"], row["value"]) for row in rows_of(hpo, "s")]
    assert states[:4] == [("completed", pytest.approx(3.9))] * 4
    assert states[4:] == [("pruned", None)] * 2


def test_a_reproducible_sweep_ignores_how_fast_its_trials_are(hpo):
    hpo.sweep(
        "graduated", trials=14, reproducible=True, look_ahead=3, concurrent_workers=3,
        sampler={"name": "tpe", "n_startup_trials": 4}, pruner={"name": "median", "n_startup_trials": 3},
    )  # fmt: skip
    for name, workers in (("one", 1), ("three", 3)):
        result = hpo(
            "run", "local", "s.yaml", "--quiet", f"run_name={name}", f"concurrent_workers={workers}"
        )
        assert result.returncode == 0, result.stderr
    one, three = ([r["params"] for r in rows_of(hpo, name)] for name in ("one", "three"))
    assert one == three


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_the_digits_example_trains_real_networks(hpo):
    digits = Path(__file__).parents[2] / "examples" / "digits.yaml"
    keys = ("trials=3", "max_epochs_per_trial=2", "min_epochs_per_trial=1", "run_name=d")
    result = hpo("run", "local", digits, *keys, timeout=270)
    assert result.returncode == 0, result.stdout + result.stderr
    assert {row["state"] for row in rows_of(hpo, "d")} <= {"completed", "pruned"}
    summary = json.loads((hpo.run_dir("d") / "summary.json").read_text())
    assert 0.05 < summary["best_value"] <= 1
    assert (hpo.run_dir("d") / "model" / "best.keras").exists()
    assert list((hpo.run_dir("d") / "plots").glob("*.png"))
