from __future__ import annotations

from pathlib import Path

import pytest

from hpocli.errors import ConfigError
from hpocli.space import FloatParam, IntParam, SearchSpace
from hpocli.study import SweepStudy

WIDE = SearchSpace((FloatParam(name="x", low=0.0, high=10.0), IntParam(name="n", low=1, high=4)))
NARROW = SearchSpace((FloatParam(name="x", low=0.0, high=5.0), IntParam(name="n", low=1, high=4)))


@pytest.fixture
def earlier(make_config, tmp_path: Path) -> Path:
    """A run folder `runs/old` with 12 completed, 1 failed, 1 pruned and 1 running trial."""
    folder = tmp_path / "runs" / "old"
    folder.mkdir(parents=True)
    (folder / "events.jsonl").touch()
    config = make_config(space=WIDE, run_name="old")
    study = SweepStudy.open(config, journal=folder / "study.journal", name="old", create=True)
    for number in range(12):
        proposal = study.ask()
        study.report(number, 0, 0.5)
        study.tell(number, "completed", [proposal.params["x"]])
    study.tell(study.ask().number, "failed")
    pruned = study.ask().number
    study.report(pruned, 0, 0.1)
    study.tell(pruned, "pruned")
    study.ask()
    study.close()
    return folder


def test_finished_trials_that_fit_come_first_and_are_not_counted(
    make_config, open_study, earlier: Path
) -> None:
    before = (earlier / "study.journal").read_bytes()
    config = make_config(
        "tpe", space=NARROW, warm_start=("old",), runs_dir=str(earlier.parent), run_name="new"
    )
    study = open_study(config)
    inherited = study._trials()
    assert 0 < study.first_number < 13
    assert all(t.params["x"] <= 5.0 for t in inherited)
    assert {t.user_attrs["warm_start"].split("/")[0] for t in inherited} == {"old"}
    assert study.known_trials() == []
    proposal = study.ask()
    assert proposal.number == study.first_number
    study.tell(proposal.number, "completed", [0.1])
    assert [t.number for t in study.known_trials()] == [proposal.number]
    assert set(study.pareto()) <= {proposal.number}
    assert (earlier / "study.journal").read_bytes() == before
    first = study.first_number
    study.close()
    again = open_study(config, create=False)
    assert again.first_number == first
    assert again.ask().number == first + 1


def test_a_running_run_can_be_read(make_config, open_study, earlier: Path) -> None:
    old = make_config(space=WIDE, run_name="old")
    owner = SweepStudy.open(old, journal=earlier / "study.journal", name="old", create=False)
    config = make_config(
        space=WIDE, warm_start=("old",), runs_dir=str(earlier.parent), run_name="n"
    )
    assert open_study(config).first_number == 13
    owner.close()


def test_a_fixed_parameter_takes_only_trials_with_its_value(
    make_config, open_study, earlier: Path
) -> None:
    space = SearchSpace((FloatParam(name="x", low=0.0, high=10.0),), (("n", 2),))
    config = make_config(
        space=space, warm_start=("old",), runs_dir=str(earlier.parent), run_name="n"
    )
    study = open_study(config)
    assert 0 < study.first_number < 13
    assert all(set(t.params) == {"x"} for t in study._trials())


def test_trials_with_a_parameter_that_is_gone_do_not_fit(
    make_config, open_study, earlier: Path
) -> None:
    space = SearchSpace((FloatParam(name="x", low=0.0, high=10.0),))
    config = make_config(
        space=space, warm_start=("old",), runs_dir=str(earlier.parent), run_name="n"
    )
    assert open_study(config).first_number == 0


def test_a_run_with_another_objective_is_refused(make_config, open_study, earlier: Path) -> None:
    keys = {"space": WIDE, "warm_start": ("old",), "runs_dir": str(earlier.parent)}
    with pytest.raises(ConfigError, match="old optimised value, this sweep accuracy"):
        open_study(make_config(objectives=("accuracy",), **keys))
    with pytest.raises(ConfigError, match="old has the directions maximize, this sweep minimize"):
        open_study(make_config(directions=("minimize",), **keys))


def test_a_run_in_a_database_is_named_by_its_url(make_config, open_study, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    old = open_study(make_config(space=WIDE, run_name="old", storage=url))
    for _ in range(3):
        old.tell(old.ask().number, "completed", [1.0])
    old.close()
    assert open_study(make_config(space=WIDE, warm_start=(url,))).first_number == 3


def test_a_run_that_does_not_exist_or_has_no_journal_is_refused(
    make_config, open_study, earlier: Path
) -> None:
    keys = {"space": WIDE, "runs_dir": str(earlier.parent)}
    with pytest.raises(ConfigError, match="no run 'young'"):
        open_study(make_config(warm_start=("young",), **keys))
    (earlier / "study.journal").unlink()
    with pytest.raises(ConfigError, match="'old' keeps its study elsewhere"):
        open_study(make_config(warm_start=("old",), **keys))
