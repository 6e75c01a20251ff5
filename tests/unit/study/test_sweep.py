from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from hpocli.errors import ConfigError, StateError
from hpocli.space import CategoricalParam, FloatParam, IntParam, SearchSpace
from hpocli.study import SweepStudy


def finish(study: SweepStudy, trials: int, value: float = 0.5) -> list[int]:
    numbers = []
    for _ in range(trials):
        number = study.ask().number
        study.report(number, 0, value)
        study.tell(number, "completed", [value])
        numbers.append(number)
    return numbers


def test_a_trial_is_told_once_and_the_second_time_changes_nothing(make_config, open_study) -> None:
    study = open_study(make_config())
    number = study.ask().number
    assert study.tell(number, "completed", [0.9])
    assert not study.tell(number, "completed", [0.1])
    assert not study.tell(number, "failed")
    assert [(t.state, t.values) for t in study.known_trials()] == [("completed", (0.9,))]


@pytest.mark.parametrize("state", ["completed", "pruned", "failed"])
def test_every_ending_is_known_after_a_resume(make_config, open_study, state) -> None:
    config = make_config()
    study = open_study(config)
    proposal = study.ask()
    study.report(proposal.number, 0, 0.4)
    study.tell(proposal.number, state, [0.7])
    study.close()
    (known,) = open_study(config, create=False).known_trials()
    assert (known.number, known.state, known.complete) == (0, state, True)
    assert known.params == proposal.params
    assert known.values == ((0.7,) if state == "completed" else ())


def test_a_duplicate_step_is_ignored_also_after_a_resume(make_config, open_study, tmp_path) -> None:
    config = make_config()
    study = open_study(config)
    number = study.ask().number
    for value in (0.1, 0.9):
        study.report(number, 0, value)
    study.close()
    again = open_study(config, create=False)
    again.report(number, 0, 0.9)
    again.report(number, 1, 0.2)
    assert again._frozen(number).intermediate_values == {0: 0.1, 1: 0.2}


def test_reports_of_an_ended_trial_are_ignored(make_config, open_study) -> None:
    study = open_study(make_config(pruner="median"))
    number = study.ask().number
    study.tell(number, "failed")
    study.report(number, 0, 0.1)
    assert not study.should_prune(number)


def test_a_running_trial_goes_on_after_a_resume_and_is_pruned_like_any_other(
    make_config, open_study
) -> None:
    config = make_config(pruner="median", pruner_options={"n_warmup_steps": 0})
    study = open_study(config)
    finish(study, 6, value=0.9)
    proposal = study.ask()
    study.close()
    again = open_study(config, create=False)
    running = [t for t in again.known_trials() if t.state == "running"]
    assert [(t.number, t.params, t.complete) for t in running] == [(6, proposal.params, True)]
    again.report(6, 0, 0.1)
    assert again.should_prune(6)
    assert again.tell(6, "pruned")
    assert not [t for t in again.known_trials() if t.state == "running"]


def test_a_decision_to_prune_is_kept_through_later_reports_and_a_resume(
    make_config, open_study
) -> None:
    config = make_config(pruner="threshold", pruner_options={"lower": 0.5, "n_warmup_steps": 0})
    study = open_study(config)
    number = study.ask().number
    study.report(number, 0, 0.1)
    assert study.should_prune(number)
    study.report(number, 1, 0.9)
    assert study.should_prune(number)
    study.close()
    again = open_study(config, create=False)
    again.report(number, 1, 0.9)
    assert again.should_prune(number)
    assert again._frozen(number).intermediate_values == {0: 0.1}


@pytest.mark.timeout(60)
def test_a_kill_inside_ask_leaves_the_whole_trial_or_none(make_config, tmp_path: Path) -> None:
    config = make_config()
    journal = tmp_path / "j"
    SweepStudy.open(config, journal=journal, name="run", create=True).close()
    code = (
        "import os, pickle, signal, sys; from pathlib import Path\n"
        "import optuna\n"
        "from hpocli.study import SweepStudy\n"
        "config = pickle.load(sys.stdin.buffer)\n"
        "real = optuna.samplers.RandomSampler.sample_independent\n"
        "def deadly(self, study, trial, name, dist):\n"
        "    if name == 'layers' and trial.number == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(self, study, trial, name, dist)\n"
        "optuna.samplers.RandomSampler.sample_independent = deadly\n"
        "study = SweepStudy.open(config, journal=Path(sys.argv[1]), name='run', create=False)\n"
        "study.ask(); study.ask()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(journal)],
        input=pickle.dumps(config),
        capture_output=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == -9, done.stderr
    study = SweepStudy.open(config, journal=journal, name="run", create=False)
    assert [(t.number, t.state, t.complete) for t in study.known_trials()] == [(0, "running", True)]
    study.close()


def test_a_half_asked_trial_of_a_database_is_known_as_incomplete_and_can_be_failed(
    make_config, open_study, tmp_path
) -> None:
    config = make_config(storage=f"sqlite:///{tmp_path / 's.db'}")
    study = open_study(config)
    study._study.ask().suggest_float("lr", 1e-5, 0.1, log=True)
    (known,) = study.known_trials()
    assert (known.state, known.complete) == ("running", False)
    assert study.tell(known.number, "failed")


def test_only_active_parameters_are_proposed(make_config, open_study, branching) -> None:
    for sampler in ("random", "tpe", "qmc", "nsga2"):
        study = open_study(make_config(sampler, space=branching), file=sampler)
        seen = set()
        for _ in range(40):
            proposal = study.ask()
            params = proposal.params
            assert ("momentum" in params) == (params["optimizer"] == "sgd")
            assert ("nesterov" in params) == (params.get("momentum") in (0.3, 0.6))
            study.tell(proposal.number, "completed", [len(params) / 3])
            seen.add(tuple(params))
        assert len(seen) == 3
        assert all(t.complete for t in study.known_trials())


def test_enqueued_points_come_first_in_order_and_may_be_partial(make_config, open_study) -> None:
    enqueue = ({"units": 32, "norm": False}, {"lr": 1, "dataset": "digits"})
    with pytest.raises(ConfigError, match="lr=1 is not in the search space"):
        open_study(make_config(enqueue=enqueue))
    config = make_config(enqueue=({"units": 32, "norm": False}, {"lr": 0.01, "dataset": "digits"}))
    study = open_study(config, file="other")
    study.enqueue({"units": 32, "norm": False})  # there already
    first, second, third = study.ask(), study.ask(), study.ask()
    assert [p.source for p in (first, second, third)] == ["enqueued", "enqueued", "sampler"]
    assert (first.params["units"], first.params["norm"]) == (32, False)
    assert second.params["lr"] == 0.01
    assert [p.number for p in (first, second, third)] == [0, 1, 2]


def test_enqueued_points_survive_a_resume_and_are_not_trials_until_asked(
    make_config, open_study
) -> None:
    config = make_config(enqueue=({"units": 32},))
    study = open_study(config)
    assert study.known_trials() == []
    study.close()
    again = open_study(config, create=False)
    assert again.ask().params["units"] == 32
    assert again.ask().source == "sampler"


def test_an_enqueued_name_that_is_unknown_gets_the_nearest(make_config, open_study) -> None:
    with pytest.raises(ConfigError, match="no parameter 'unitz'") as caught:
        open_study(make_config(enqueue=({"unitz": 3},)))
    assert caught.value.hint == "did you mean 'units'?"


def test_a_refused_configuration_leaves_no_study_behind(make_config, open_study) -> None:
    with pytest.raises(ConfigError):
        open_study(make_config(enqueue=({"unitz": 3},)))
    with pytest.raises(ConfigError):
        open_study(make_config(warm_start=("nowhere",)))
    open_study(make_config())


def test_creating_twice_and_resuming_nothing_are_refused(make_config, open_study) -> None:
    config = make_config()
    with pytest.raises(StateError, match="j is missing"):
        open_study(config, create=False)
    open_study(config).close()
    with pytest.raises(StateError, match="already has a study 'run'"):
        open_study(config)


def test_a_second_process_is_refused_while_the_first_lives(make_config, open_study) -> None:
    config = make_config()
    study = open_study(config)
    with pytest.raises(StateError, match="in use by another process"):
        open_study(config, create=False)
    study.close()
    open_study(config, create=False)


def with_units(param: object) -> SearchSpace:
    return SearchSpace((FloatParam(name="lr", low=0.1, high=1.0), param))  # type: ignore[arg-type]


UNITS = CategoricalParam(name="units", choices=(1, 2, 3))


@pytest.mark.parametrize(
    "changed",
    [
        CategoricalParam(name="units", choices=(1, 2)),
        CategoricalParam(name="units", choices=(3, 2, 1)),
        IntParam(name="units", low=1, high=3),
    ],
)
def test_changed_choices_are_refused_by_name(make_config, open_study, changed) -> None:
    study = open_study(make_config(space=with_units(UNITS)))
    finish(study, 2)
    study.close()
    with pytest.raises(ConfigError, match=r"'units' was one of \[1, 2, 3\] when the run began"):
        open_study(make_config(space=with_units(changed)), create=False)


def test_a_changed_range_is_taken_and_so_is_a_new_or_missing_parameter(
    make_config, open_study
) -> None:
    study = open_study(make_config(space=with_units(UNITS)))
    finish(study, 2)
    study.close()
    wider = SearchSpace(
        (FloatParam(name="lr", low=0.001, high=5.0), IntParam(name="new", low=1, high=2))
    )
    again = open_study(make_config(space=wider), create=False)
    assert set(again.ask().params) == {"lr", "new"}
    assert [t.number for t in again.known_trials()] == [0, 1, 2]


def test_a_changed_scale_is_refused(make_config, open_study) -> None:
    study = open_study(make_config(space=with_units(UNITS)))
    finish(study, 1)
    study.close()
    space = SearchSpace((FloatParam(name="lr", low=0.1, high=1.0, log=True),))
    with pytest.raises(ConfigError, match="'lr' was a float when the run began and is a float on"):
        open_study(make_config(space=space), create=False)


def test_changed_directions_are_refused(make_config, open_study) -> None:
    open_study(make_config()).close()
    with pytest.raises(ConfigError, match="directions maximize and cannot change to minimize"):
        open_study(make_config(directions=("minimize",)), create=False)


def test_several_objectives_have_a_front_and_no_pruning(make_config, open_study) -> None:
    config = make_config(
        "tpe", "asha", objectives=("a", "b"), directions=("maximize", "minimize"), trials=20
    )
    study = open_study(config)
    for values in ([1.0, 1.0], [2.0, 2.0], [0.5, 3.0]):
        number = study.ask().number
        study.report(number, 0, 0.1)
        assert not study.should_prune(number)
        study.tell(number, "completed", values)
    assert study.pareto() == [0, 1]
    number = study.ask().number
    study.tell(number, "pruned")
    finish_two = [study.ask().number for _ in range(12)]
    for number in finish_two:
        study.tell(number, "completed", [1.0, float(number)])
    assert isinstance(study.importances(), dict)


def test_importances_find_the_parameter_that_matters(make_config, open_study) -> None:
    study = open_study(make_config())
    assert study.importances() == {}
    for _ in range(30):
        proposal = study.ask()
        study.tell(proposal.number, "completed", [float(proposal.params["dropout"])])
    importances = study.importances()
    assert next(iter(importances)) == "dropout"
    assert set(importances) == {"lr", "dropout", "units", "layers", "norm"}


def test_the_cost_of_an_ask_is_measured(make_config, open_study) -> None:
    study = open_study(make_config())
    assert study.ask_cost_s == 0.0
    finish(study, 3)
    assert 0.0 < study.ask_cost_s < 1.0


def test_a_sqlite_study_does_all_that_a_journal_does(make_config, open_study, tmp_path) -> None:
    config = make_config("tpe", "median", storage=f"sqlite:///{tmp_path / 's.db'}")
    study = open_study(config)
    finish(study, 3)
    number = study.ask().number
    study.barrier()
    study.close()
    study.close()
    again = open_study(config, create=False)
    assert [t.state for t in again.known_trials()] == ["completed"] * 3 + ["running"]
    assert again.tell(number, "failed")
    assert not (tmp_path / "j").exists()


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("sqlite:////nowhere/at/all.db", StateError, "unable to open database file"),
        ("nonsense", ConfigError, "is no URL"),
        ("nosuchdb://u:hunter2@h/db", ConfigError, "driver|is no URL"),
        ("postgresql+psycopg://u:hunter2@127.0.0.1:9/db", StateError, "cannot be opened"),
        ("mysql+nodriver://u:hunter2@127.0.0.1:9/db", ConfigError, "driver|is no URL"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_one_sentence_without_credentials(
    make_config, open_study, url, error, message
) -> None:
    with pytest.raises(error, match=message) as caught:
        open_study(make_config(storage=url))
    text = caught.value.message + caught.value.hint
    assert "hunter2" not in text
    assert "\n" not in text


def test_a_corrupt_journal_is_named_with_its_line(make_config, open_study, tmp_path) -> None:
    config = make_config()
    study = open_study(config)
    finish(study, 2)
    study.close()
    lines = (tmp_path / "j").read_bytes().splitlines(keepends=True)
    lines[4] = b"XX" + lines[4]
    (tmp_path / "j").write_bytes(b"".join(lines))
    with pytest.raises(StateError, match=r"line 5 of .*j is damaged"):
        open_study(config, create=False)
    assert (tmp_path / "j").read_bytes() == b"".join(lines)


def test_a_journal_that_makes_no_sense_is_refused(make_config, open_study, tmp_path) -> None:
    (tmp_path / "j").write_bytes(b'{"op_code": 99, "worker_id": "w"}\n')
    with pytest.raises(StateError, match="no journal that can be replayed"):
        open_study(make_config())
    (tmp_path / "j").write_bytes(b'{"op_code": 0, "worker_id": "w"}\n')
    with pytest.raises(StateError, match="no journal that can be replayed"):
        open_study(make_config())


def test_a_torn_journal_resumes_and_says_how_many_bytes_were_lost(
    make_config, open_study, tmp_path
) -> None:
    config = make_config()
    study = open_study(config)
    finish(study, 2)
    study.close()
    with (tmp_path / "j").open("ab") as file:
        file.write(b'{"op_code": 6')
    again = open_study(config, create=False)
    assert again.torn_bytes == 13
    finish(again, 1)
    assert [t.state for t in again.known_trials()] == ["completed"] * 3
    assert again.torn_bytes == 13


def test_optunas_own_reader_opens_the_file(make_config, open_study, tmp_path) -> None:
    study = open_study(make_config("tpe"))
    finish(study, 12)
    backend = JournalFileBackend(str(tmp_path / "j"))
    read = optuna.load_study(study_name="run", storage=optuna.storages.JournalStorage(backend))
    assert len(read.trials) == 12
    assert read.best_value == 0.5


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "nsga2", "cmaes"])
def test_nothing_of_optuna_reaches_the_terminal(make_config, open_study, sampler, capfd) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = open_study(make_config(sampler, "patient"))
        finish(study, 14)
        study.importances()
    out = capfd.readouterr()
    assert out.out == ""
    assert out.err == ""
