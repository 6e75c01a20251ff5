from __future__ import annotations

import pytest

from hpocli.errors import ConfigError, StateError
from hpocli.space import CategoricalParam, FloatParam, IntParam, SearchSpace

SIX = SearchSpace(
    (
        CategoricalParam(name="optimizer", choices=("adam", "sgd")),
        FloatParam(name="dropout", low=0.0, high=0.3, step=0.1),
        IntParam(name="layers", low=1, high=1),
    )
)


def ask_all(study, limit: int = 100) -> list[tuple]:
    points = []
    while not study.exhausted and len(points) < limit:
        proposal = study.ask()
        points.append(tuple(proposal.params.values()))
    return points


def test_a_grid_is_every_point_once_and_then_exhausted(make_config, open_study) -> None:
    study = open_study(make_config("grid", space=SIX))
    points = ask_all(study)
    assert len(points) == len(set(points)) == 8
    assert study.exhausted
    with pytest.raises(StateError, match="every point"):
        study.ask()


def test_an_inactive_parameter_does_not_multiply_points(make_config, open_study, branching) -> None:
    points = ask_all(open_study(make_config("grid", space=branching)))
    assert len(points) == len(set(points)) == 1 + 2 + 2 * 2


def test_a_resumed_grid_goes_on_where_it_was_whatever_became_of_the_trials(
    make_config, open_study
) -> None:
    config = make_config("grid", space=SIX)
    first = open_study(config)
    points = []
    for state in ("completed", "failed", "pruned"):
        proposal = first.ask()
        first.tell(proposal.number, state, [1.0])
        points.append(tuple(proposal.params.values()))
    points.append(tuple(first.ask().params.values()))  # stays RUNNING
    first.close()
    points += ask_all(open_study(config, create=False))
    assert len(points) == len(set(points)) == 8


def test_an_enqueued_point_of_the_grid_is_not_proposed_again(make_config, open_study) -> None:
    enqueue = ({"optimizer": "sgd", "dropout": 0.2, "layers": 1}, {"optimizer": "sgd"})
    study = open_study(make_config("grid", space=SIX, enqueue=enqueue))
    first = study.ask()
    assert (first.source, first.params["dropout"]) == ("enqueued", 0.2)
    points = [tuple(first.params.values()), *ask_all(study)]
    assert set(points) == {(o, d, 1) for o in ("adam", "sgd") for d in (0.0, 0.1, 0.2, 0.3)}
    assert 8 <= len(points) <= 9  # the second enqueued point was free to be any


def test_a_real_number_needs_values(make_config, open_study) -> None:
    space = SearchSpace((FloatParam(name="lr", low=0.1, high=1.0),))
    with pytest.raises(ConfigError, match="'lr' has endlessly many values"):
        open_study(make_config("grid", space=space))
    options = {"search_space": {"lr": [0.1, 0.5]}}
    study = open_study(make_config("grid", space=space, options=options), file="other")
    assert sorted(ask_all(study)) == [(0.1,), (0.5,)]


@pytest.mark.parametrize(
    ("given", "message"),
    [({"lr": [5.0]}, "lr=5.0 is not in"), ({"lr": []}, "must be a list"), ({"lr": 1}, "list")],
)
def test_values_outside_the_space_are_refused(make_config, open_study, given, message) -> None:
    space = SearchSpace((FloatParam(name="lr", low=0.1, high=1.0),))
    with pytest.raises(ConfigError, match=message):
        open_study(make_config("grid", space=space, options={"search_space": given}))


def test_a_grid_of_a_thousand_million_points_is_refused(make_config, open_study) -> None:
    space = SearchSpace(tuple(IntParam(name=n, low=1, high=1000) for n in "abc"))
    with pytest.raises(ConfigError, match="more than 1,000,000 points"):
        open_study(make_config("grid", space=space))
