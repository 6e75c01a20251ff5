"""The declared space: what it means, how it lies over a built-in one, what is refused."""

from __future__ import annotations

import re

import pytest

from hpocli.conditions import SpaceError
from hpocli.space import (
    CategoricalParam,
    Condition,
    FloatParam,
    IntParam,
    PointError,
    SearchSpace,
)
from hpocli.spacefile import build_space

BUILTIN = {
    "optimizer": ["adam", "sgd"],
    "momentum": {"type": "float", "low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
    "rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
}


def _param(space: SearchSpace, name: str):
    return next(p for p in space.params if p.name == name)


def test_a_mapping_changes_only_what_it_names() -> None:
    space = build_space({"rate": {"high": 1e-2}}, BUILTIN)
    assert _param(space, "rate") == FloatParam(name="rate", low=1e-4, high=1e-2, log=True)


def test_another_type_replaces_all() -> None:
    space = build_space({"rate": {"type": "int", "low": 1, "high": 3}}, BUILTIN)
    assert _param(space, "rate") == IntParam(name="rate", low=1, high=3)


def test_a_list_replaces_the_range_and_keeps_the_condition() -> None:
    space = build_space({"momentum": [0.1, 0.9]}, BUILTIN)
    when = (Condition(parent="optimizer", values=("sgd",)),)
    expected = CategoricalParam(name="momentum", choices=(0.1, 0.9), when=when)
    assert _param(space, "momentum") == expected


def test_a_value_fixes_the_parameter_and_decides_its_children() -> None:
    adam = build_space({"optimizer": "adam"}, BUILTIN)
    assert adam.fixed == (("optimizer", "adam"),)
    assert [p.name for p in adam.params] == ["rate"]
    sgd = build_space({"optimizer": ["sgd"]}, BUILTIN)
    assert _param(sgd, "momentum").when == ()


def test_narrowing_a_parent_drops_a_built_in_child_that_can_never_be() -> None:
    space = build_space({"optimizer": ["adam", "rmsprop"]}, BUILTIN)
    assert "momentum" not in space.names()


def test_parents_come_before_their_children() -> None:
    space = build_space(
        {
            "c": {"choices": [1, 2], "when": {"b": 1}},
            "b": {"choices": [1, 2], "when": {"a": [2, 3]}},
            "a": {"type": "int", "low": 1, "high": 4},
        },
        {},
    )
    assert [p.name for p in space.params] == ["a", "b", "c"]
    assert space.is_active(space.params[1], {"a": 2})
    assert not space.is_active(space.params[1], {"a": 1})


def test_a_range_ends_on_its_last_step() -> None:
    space = build_space(
        {
            "f": {"type": "float", "low": 0, "high": 1, "step": 0.3},
            "i": {"type": "int", "low": 1, "high": 10, "step": 4},
        },
        {},
    )
    assert [p.high for p in space.params] == [0.9, 9]


@pytest.mark.parametrize(
    ("form", "path", "words"),
    [
        ({"type": "float", "low": 2, "high": 1}, ("x", "low"), "above high"),
        ({"type": "float", "low": 0, "high": 1, "log": True}, ("x", "low"), "above 0"),
        ({"type": "float", "low": float("nan"), "high": 1}, ("x", "low"), "finite"),
        ({"type": "float", "low": 0, "high": float("inf")}, ("x", "high"), "finite"),
        ({"type": "float", "low": 0, "high": 1, "step": 0}, ("x", "step"), "above 0"),
        ({"type": "float", "low": 0, "high": 1, "step": 2}, ("x", "step"), "larger"),
        ({"type": "float", "low": 1, "high": 2, "step": 1, "log": True}, ("x", "step"), "log"),
        ({"type": "int", "low": 1.5, "high": 2}, ("x", "low"), "integer"),
        ({"type": "int", "low": True, "high": 2}, ("x", "low"), "number"),
        ({"type": "int", "low": 1, "high": 2**60}, ("x", "high"), "2^53"),
        ({"type": "int", "low": 1}, ("x",), "needs high"),
        ({"type": "flaot", "low": 1, "high": 2}, ("x", "type"), "one of float"),
        ({"type": "int", "low": 1, "high": 2, "hihg": 3}, ("x", "hihg"), "not known"),
        ({"low": 1, "high": 2}, ("x",), "no type"),
        ([], ("x",), "no choices"),
        ([1, 1.0], ("x", 1), "already"),
        ([1, True], ("x", 1), "already"),
        ([[1]], ("x",), "must be text"),
        ([1, float("nan")], ("x", 1), "finite"),
        ({"choices": "ab"}, ("x", "choices"), "must be a list"),
        ({"choices": [1, 2], "when": {"y": 1}}, ("x", "when", "y"), "not a parameter"),
        ({"choices": [1, 2], "when": {"x": 1}}, ("x", "when"), "circle"),
        ({"choices": [1, 2], "when": 3}, ("x", "when"), "must be a mapping"),
        ({"choices": [1, 2], "when": {"rate": 1}}, ("x", "when", "rate"), "float"),
        ({"choices": [1, 2], "when": {"optimizer": "sdg"}}, ("x", "when", "optimizer"), "never"),
        ({"choices": [1, 2], "when": {"optimizer": []}}, ("x", "when", "optimizer"), "no values"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(form, path, words: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(words)) as caught:
        build_space({"x": form}, BUILTIN)
    assert caught.value.path == path


def test_a_name_that_no_file_or_variable_could_carry_is_refused() -> None:
    with pytest.raises(SpaceError, match="no name"):
        build_space({"a b": [1, 2]}, {})


def test_the_grid_counts_conditional_parameters_where_they_are_active() -> None:
    space = build_space(
        {
            "layers": {"type": "int", "low": 1, "high": 3},
            "u2": {"choices": [1, 2, 3, 4], "when": {"layers": [2, 3]}},
            "u3": {"choices": [1, 2], "when": {"layers": 3}},
            "z": [1, 2],
        },
        {},
    )
    assert space.grid_size() == (1 + 4 + 8) * 2
    assert space.grid_size(limit=10) == 11
    assert build_space({}, BUILTIN).grid_size() is None


def test_points_are_given_in_the_parameters_own_types() -> None:
    space = build_space({"n": {"type": "int", "low": 1, "high": 8}, "f": 3}, BUILTIN)
    point = space.validate_point({"n": 2.0, "rate": 0.01, "f": 3})
    assert point == {"n": 2, "rate": 0.01}
    assert type(point["n"]) is int
    with pytest.raises(PointError, match="fixed to 3"):
        space.validate_point({"f": 4})
    with pytest.raises(PointError, match="must be an integer"):
        space.validate_point({"n": 2.5})
    with pytest.raises(PointError, match="must be a number"):
        space.validate_point({"n": "2"})
