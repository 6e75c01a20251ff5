"""`hpo ls`, `show`, `trials` and `best` over made-up run folders."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from synthetic import Sweep, records
from typer.testing import CliRunner

from hpocli import events as ev
from hpocli.commands import reading
from hpocli.errors import ConfigError, HpoError, StateError
from hpocli.ranking import best_trial, pareto_front
from hpocli.runs import RunFolder, RunLock
from hpocli.state import fold

SWEEP = Sweep(trials=10, pruned=0.3, failed=0.2, seed=3)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_RUNS_DIR", raising=False)
    put(tmp_path / "runs", "made-up", records(SWEEP))
    return tmp_path / "runs"


def put(runs, name, found, torn=""):
    (runs / name).mkdir(parents=True)
    text = "".join(record.to_json() + "\n" for record in found)
    (runs / name / "events.jsonl").write_text(text + torn)


def hpo(*arguments):
    """Return (stdout, stderr) of a command, or raise the error that `cli.main` would print."""
    app = typer.Typer()
    reading.register(app)
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(done.exception, HpoError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def test_trials_as_json_have_what_the_issue_promises(runs):
    out, err = hpo("trials", "made", "--format", "json")
    rows = json.loads(out)
    assert [row["number"] for row in rows] == list(range(10))
    assert {"number", "state", "value", "params", "duration_s"} <= set(rows[0])
    assert "next:" in err


def test_trials_as_csv_can_be_read_back(runs):
    out, _ = hpo("trials", "made-up", "--format", "csv")
    assert len(list(csv.DictReader(io.StringIO(out)))) == 10


def test_sorting_by_value_puts_the_best_on_top_and_those_without_one_last(runs):
    rows = json.loads(hpo("trials", "made-up", "--sort", "value", "--format", "json")[0])
    assert rows[0]["number"] == best_trial(fold(records(SWEEP))).number
    assert rows[-1]["value"] is None


def test_rows_are_filtered_by_state_and_by_any_column(runs):
    arguments = ("--state", "completed", "--where", "learning_rate<0.01", "--limit", "2")
    rows = json.loads(hpo("trials", "made-up", *arguments, "--format", "json")[0])
    assert 0 < len(rows) <= 2
    assert all(r["state"] == "completed" and r["params"]["learning_rate"] < 0.01 for r in rows)


def test_equality_compares_numbers_as_numbers_and_words_as_words(runs):
    for where, test in (
        ("params.conv_layers=3.0", lambda p: p["conv_layers"] == 3),
        ("optimizer!=adam", lambda p: p["optimizer"] != "adam"),
        ("batch_normalization=true", lambda p: p["batch_normalization"] is True),
    ):
        rows = json.loads(hpo("trials", "made-up", "--where", where, "--format", "json")[0])
        assert rows
        assert all(test(row["params"]) for row in rows)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--where", "nonsense"),
        ("--where", "learning_rat<1"),
        ("--where", "learning_rate<big"),
        ("--sort", "colour"),
        ("--state", "finished"),
    ],
)
def test_a_filter_that_means_nothing_is_one_sentence(runs, arguments):
    with pytest.raises(ConfigError) as caught:
        hpo("trials", "made-up", *arguments)
    assert arguments[0] in caught.value.message
    assert "\n" not in caught.value.message


def test_the_table_shows_each_trial_and_why_one_failed(runs):
    out, _ = hpo("trials", "made-up")
    assert "shapes (3,) and (4,) do not fit" in out
    assert sum("completed" in line for line in out.splitlines()) == fold(records(SWEEP)).count(
        "completed"
    )
    assert "next:" in out


def test_best_prints_yaml_json_and_arguments_alike(runs):
    params = best_trial(fold(records(SWEEP))).params
    assert yaml.safe_load(hpo("best", "made")[0])["params"] == params
    assert json.loads(hpo("best", "made", "--format", "json")[0])["params"] == params
    words = hpo("best", "made", "--format", "args")[0].split()
    assert f"--learning_rate={params['learning_rate']}" in words


def test_show_tells_the_run_on_a_page(runs):
    out, _ = hpo("show", "made-up")
    for word in ("keras-image", "val_accuracy", "done", "ValueError", "best", "hpo trials made-up"):
        assert word in out


def test_latest_is_named_like_any_other_run(runs):
    (runs / "latest").symlink_to("made-up", target_is_directory=True)
    assert hpo("show", "latest") == hpo("show", "made-up")


def test_the_arguments_of_a_pareto_front_say_whose_they_are(runs):
    sweep = Sweep(trials=12, objectives=("a", "b"), directions=("maximize", "minimize"))
    put(runs, "front", records(sweep))
    lines = hpo("best", "front", "--format", "args")[0].splitlines()
    front = [t.number for t in pareto_front(fold(records(sweep)))]
    assert [int(line.rpartition("# trial ")[2]) for line in lines] == front


def test_the_price_of_order_is_a_note_and_no_warning(runs):
    idle = ev.Warned(message="reproducible: slots stood idle for 3.0 s in all")
    found = records(SWEEP)
    put(runs, "ordered", [*found, ev.Record(seq=len(found) + 1, ts=found[-1].ts, event=idle)])
    out, _ = hpo("show", "ordered")
    assert "note       reproducible" in out
    assert "warning" not in out


def test_show_does_not_suggest_itself(runs):
    assert "hpo show" not in hpo("show", "made-up")[0]


def test_a_run_whose_process_died_says_so_and_how_to_go_on(runs):
    put(runs, "dead", records(SWEEP, until=12.0), torn='{"v":1,"se')
    out, _ = hpo("show", "dead")
    assert "killed" in out
    assert "hpo resume dead" in out


def test_a_run_that_goes_on_is_shown_as_running(runs):
    put(runs, "live", records(SWEEP, until=12.0))
    lock = RunLock(RunFolder(runs / "live"))
    lock.acquire()
    try:
        rows = {r["run"]: r for r in json.loads(hpo("ls", "--format", "json")[0])}
        assert rows["live"]["status"] == "running"
        out, _ = hpo("show", "live")
        assert out.count("2 running") == 2
        assert "hpo resume" not in out
    finally:
        lock.release()
    assert {r["run"]: r for r in json.loads(hpo("ls", "--format", "json")[0])}["live"][
        "status"
    ] == "killed"


def test_ls_goes_on_past_a_run_it_cannot_read(runs):
    put(runs, "empty", [])
    put(runs, "broken", [], torn="not json\n")
    out, _ = hpo("ls")
    rows = {r["run"]: r for r in json.loads(hpo("ls", "--format", "json")[0])}
    assert rows["made-up"]["status"] == "done"
    assert rows["empty"]["status"] == rows["broken"]["status"] == "unreadable"
    assert "damaged" in rows["broken"]["problem"]
    assert "made-up" in out


@pytest.mark.parametrize("command", ["show", "trials", "best"])
def test_an_empty_or_damaged_log_is_one_sentence(runs, command):
    put(runs, "empty", [])
    put(runs, "broken", [], torn="\x00\x01\n")
    for name in ("empty", "broken"):
        with pytest.raises(StateError) as caught:
            hpo(command, name)
        assert "\n" not in caught.value.message


def test_best_of_a_run_without_completed_trials_is_one_sentence(runs):
    put(runs, "poor", records(Sweep(trials=2, failed=1.0)))
    with pytest.raises(StateError, match="no trial"):
        hpo("best", "poor")


def test_no_runs_at_all_says_how_to_start(tmp_path):
    out, _ = hpo("ls", "--runs-dir", tmp_path / "nowhere")
    assert "hpo run local" in out


def test_a_run_elsewhere_is_named_by_its_path_in_what_to_type_next(runs, tmp_path):
    put(tmp_path / "other", "made-up", records(SWEEP))
    out, _ = hpo("show", "made-up", "--runs-dir", tmp_path / "other")
    assert f"hpo trials {tmp_path / 'other' / 'made-up'}" in out


def test_the_runs_directory_can_come_from_the_environment(tmp_path, monkeypatch):
    put(tmp_path / "other", "made-up", records(SWEEP))
    monkeypatch.setenv("HPO_RUNS_DIR", str(tmp_path / "other"))
    assert "hpo trials made-up" in hpo("show", "made-up")[0]


def test_reading_commands_import_no_optuna_and_no_matplotlib():
    code = (
        "import sys, hpocli.commands.reading\n"
        "print(sorted({'optuna', 'matplotlib', 'rich', 'structlog', 'pydantic', 'tensorflow'}"
        " & set(sys.modules)))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=root,
        check=True,
    )
    assert set(json.loads(done.stdout.replace("'", '"'))) <= {"rich"}
