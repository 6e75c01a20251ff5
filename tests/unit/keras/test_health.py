import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_handler import health

any_floats = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30)
losses = st.lists(st.floats(0, 1e6), min_size=1, max_size=30)


def test_a_loss_that_only_falls_is_stable():
    assert health.training_stability([2.0, 1.0, 0.5]) == 1.0


def test_a_loss_that_falls_two_and_rises_one_is_a_third_stable():
    assert health.training_stability([3.0, 1.0, 2.0]) == pytest.approx(1 / 3)


def test_a_loss_that_ends_higher_is_not_stable():
    assert health.training_stability([1.0, 2.0]) == 0.0


def test_guessing_has_no_skill_and_being_right_has_all():
    assert health.skill(0.1, 10) == pytest.approx(0.0)
    assert health.skill(1.0, 10) == 1.0


def test_ten_times_the_weights_cost_a_sixth_of_the_efficiency():
    small = health.parameter_efficiency(1.0, 10_000, 10)
    large = health.parameter_efficiency(1.0, 100_000, 10)
    assert small - large == pytest.approx(1 / 6)


def test_twice_the_memory_costs_a_twentieth():
    first = health.memory_efficiency(1.0, 2**20, 10)
    assert first - health.memory_efficiency(1.0, 2**21, 10) == pytest.approx(1 / 20)


def test_a_validation_loss_at_chance_has_not_converged():
    assert health.convergence_quality([math.log(10)], 10) == pytest.approx(0.0)


def test_a_validation_loss_that_comes_back_up_converges_worse():
    kept = health.convergence_quality([1.0, 0.2, 0.2], 10)
    lost = health.convergence_quality([1.0, 0.2, 1.5], 10)
    assert lost < kept


def test_a_steady_accuracy_is_consistent_and_a_swinging_one_is_not():
    assert health.accuracy_consistency([0.1, 0.5, 0.9, 0.9]) == 1.0
    assert health.accuracy_consistency([0.9, 0.9, 0.4, 0.9]) == 0.0


def test_a_unit_that_never_changes_is_dead():
    outputs = np.zeros((8, 4), dtype=np.float32)
    outputs[:, 0] = np.arange(8)
    assert health.live_share([outputs]) == 0.25


def test_a_map_counts_by_channel():
    outputs = np.zeros((2, 3, 3, 2), dtype=np.float32)
    outputs[1, 2, 2, 1] = 5.0
    assert health.live_share([outputs]) == 0.5


def test_even_gradients_are_healthy_and_a_vanished_layer_counts_nothing():
    assert health.gradient_evenness([1e-3, 2e-3, 5e-3]) == 1.0
    assert health.gradient_evenness([1e-3, 1e-3, 0.0, math.nan]) == 0.5
    assert health.gradient_evenness([1e-3, 1e-3, 1e-8]) == pytest.approx(2 / 3)


@given(loss=losses, val_loss=losses, sizes=any_floats, accuracy=st.floats(0, 1))
def test_every_number_is_finite_and_within_zero_and_one(loss, val_loss, sizes, accuracy):
    measured = health.measure(
        health.Curves(loss, val_loss, [accuracy] * len(loss)),
        health.Probe(1.0, health.gradient_evenness(sizes)),
        accuracy=accuracy,
        parameters=1,
        classes=2,
    )
    assert set(measured) == {*health.WEIGHTS, "overall_health"}
    assert all(0.0 <= value <= 1.0 for value in measured.values())
