"""The files of a run: what they hold, and that they are safe to open."""

import csv
import io
import json

import pytest
import yaml
from synthetic import START, Sweep, header, records

from hpocli import events as ev
from hpocli.config import SweepConfig
from hpocli.ranking import best_trial, pareto_front
from hpocli.results import keep_best_model, trial_rows, trials_csv, write_results
from hpocli.runs import RunFolder
from hpocli.spi import TrainerRef
from hpocli.state import fold

SWEEP = Sweep(trials=10, pruned=0.3, failed=0.2, seed=3)
PARETO = Sweep(trials=30, objectives=("acc", "time"), directions=("maximize", "minimize"))


def config(**changes):
    trainer = TrainerRef(kind="builtin", name="keras-image")
    return SweepConfig(trainer=trainer, run_name="r", **changes)


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path)


def put_models(folder, numbers):
    for number in numbers:
        folder.trial(number).mkdir(parents=True, exist_ok=True)
        (folder.trial(number) / "model.keras").write_text(f"model {number}")


def left_models(folder):
    return sorted(int(p.parent.name) for p in folder.root.glob("trials/*/model.keras"))


def test_the_summary_says_what_the_state_says(folder):
    state = fold(records(SWEEP))
    write_results(folder, config(), state, importances={"learning_rate": 0.9}, exit_code=0)
    found = json.loads((folder.root / "summary.json").read_text())
    best = best_trial(state)
    assert found["best_value"] == best.values[0]
    assert (found["best_trial"], found["exit_code"], found["trials"]) == (best.number, 0, 10)
    assert sum(found["counts"].values()) == 10
    assert found["importances"] == {"learning_rate": 0.9}
    assert yaml.safe_load((folder.root / "best.yaml").read_text())["params"] == best.params


def test_several_objectives_give_a_pareto_list(folder):
    state = fold(records(PARETO))
    write_results(folder, config(), state, importances={}, exit_code=0)
    found = yaml.safe_load((folder.root / "best.yaml").read_text())["pareto"]
    assert [entry["trial"] for entry in found] == [t.number for t in pareto_front(state)]
    assert json.loads((folder.root / "summary.json").read_text())["best_value"] is None


def test_no_trial_is_better_than_one_of_the_front_in_everything():
    state = fold(records(PARETO))
    front = {t.number for t in pareto_front(state)}
    for trial in state.trials.values():
        beaten = any(
            o.values[0] >= trial.values[0]
            and o.values[1] <= trial.values[1]
            and o.values != trial.values
            for o in state.trials.values()
        )
        assert beaten != (trial.number in front)


def test_writing_twice_gives_the_same_files(folder):
    state = fold(records(SWEEP))
    contents = []
    for _ in range(2):
        write_results(folder, config(), state, importances={}, exit_code=0)
        contents.append({p: p.read_bytes() for p in folder.root.rglob("*") if p.is_file()})
    assert contents[0] == contents[1]
    assert not [p for p in contents[0] if p.name.startswith(".")]


def test_an_empty_run_has_results_too(folder):
    state = fold(records(SWEEP, until=0.0)[:1])
    write_results(folder, config(), state, importances={}, exit_code=130)
    assert json.loads((folder.root / "summary.json").read_text())["counts"]["not_run"] == 10


def test_every_ended_trial_keeps_its_params_and_reports(folder):
    state = fold(records(SWEEP))
    write_results(folder, config(), state, importances={}, exit_code=0)
    for number, trial in state.trials.items():
        where = folder.trial(number)
        assert json.loads((where / "params.json").read_text()) == trial.params
        lines = (where / "reports.jsonl").read_text().splitlines()
        assert [(r["step"], r["value"]) for r in map(json.loads, lines)] == trial.curve


@pytest.mark.parametrize("text", ["=1+1", "+1", "-cmd", "@SUM(A1)", "  =1"])
def test_no_text_in_the_csv_starts_a_formula(text):
    events = [
        header(Sweep(trials=1)),
        ev.TrialCreated(trial=0, params={"a": text, "b": -0.5, text: 1}, seed=1),
        ev.TrialFinished(trial=0, state="failed", failure="user", message=text),
    ]
    state = fold(ev.Record(seq=i + 1, ts=START, event=e) for i, e in enumerate(events))
    rows = list(csv.reader(io.StringIO(trials_csv(trial_rows(state)))))
    cells = dict(zip(*rows, strict=True))
    assert cells["params.b"] == "-0.5"  # a number stays one
    for cell in [cell for row in rows for cell in row if cell != "-0.5"]:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_the_columns_of_a_group_stay_together_in_the_csv():
    groups = [
        name.partition(".")[0]
        for name in trials_csv(trial_rows(fold(records(SWEEP)))).splitlines()[0].split(",")
        if "." in name
    ]
    assert list(dict.fromkeys(groups)) == ["values", "params", "metrics", "health"]
    assert groups == sorted(groups, key=["values", "params", "metrics", "health"].index)


def test_messages_lose_secrets_and_control_characters():
    events = [
        header(Sweep(trials=1)),
        ev.TrialCreated(trial=0, params={}, seed=1),
        ev.TrialFinished(
            trial=0, state="failed", failure="user", message="\x1b[1m rpa_ABCDEFGH12345678 \n no"
        ),
    ]
    state = fold(ev.Record(seq=i + 1, ts=START, event=e) for i, e in enumerate(events))
    assert trial_rows(state)[0]["message"] == "^[[1m [redacted] no"


def test_rows_have_what_the_issue_promises():
    row = trial_rows(fold(records(SWEEP)))[0]
    assert {"number", "state", "value", "params", "duration_s"} <= set(row)
    json.dumps(row, allow_nan=False)


def test_only_the_best_model_is_kept_as_trials_end(folder):
    best = None
    for number, improves in enumerate([True, False, True, False]):
        put_models(folder, [number])
        keep_best_model(folder, number if improves else None, best if improves else number)
        best = number if improves else best
        assert left_models(folder) == [best]
        assert (folder.model / "best.keras").read_text() == f"model {best}"


def test_results_drop_models_that_a_kill_left_behind(folder):
    state = fold(records(SWEEP))
    put_models(folder, state.trials)
    write_results(folder, config(), state, importances={}, exit_code=0)
    assert left_models(folder) == [best_trial(state).number]
    assert (
        json.loads((folder.model / "trial.json").read_text())["trial"] == best_trial(state).number
    )


def test_every_model_of_a_pareto_front_is_kept(folder):
    state = fold(records(PARETO))
    put_models(folder, state.trials)
    write_results(folder, config(), state, importances={}, exit_code=0)
    assert left_models(folder) == [t.number for t in pareto_front(state)]


def test_a_link_in_place_of_a_model_is_not_followed(folder, tmp_path_factory):
    secret = tmp_path_factory.mktemp("else") / "secret"
    secret.write_text("secret")
    folder.trial(0).mkdir(parents=True)
    (folder.trial(0) / "model.keras").symlink_to(secret)
    keep_best_model(folder, 0, None)
    assert not (folder.model / "best.keras").exists()
