"""The loop, in virtual time."""

from __future__ import annotations

from collections import Counter

import pytest

from hpocli.config import PrunerConfig, RetryConfig, SamplerConfig
from hpocli.errors import ExitCode
from hpocli.flight import Stop
from hpocli.spi import (
    ExecutorRejected,
    ExecutorUnavailable,
    FailureClass,
    TrialError,
    TrialLost,
    TrialRequest,
)
from hpocli.study import trial_seed
from hpocli.testing import Play


def test_every_trial_is_told_once(world):
    sweep = world(trials=20, concurrent_workers=3)
    ending = sweep.run()
    assert ending.code is ExitCode.OK
    told = Counter(event.trial for event in sweep.named("trial_finished"))
    assert told == Counter(range(20))


def test_slots_are_filled_and_never_exceeded(world):
    sweep = world(trials=12, concurrent_workers=4)
    sweep.run()
    assert sweep.executor.most_in_flight == 4
    assert sweep.clock.monotonic() < 12 * 12 / 4 + 24


def test_a_trial_has_the_seed_of_its_number(world):
    sweep = world(seed=7)
    sweep.run()
    assert {r.trial: r.seed for r in sweep.executor.requests} == {
        n: trial_seed(7, n) for n in range(8)
    }


def test_a_built_in_trainer_is_told_the_value_to_beat(world):
    from hpocli.spi import TrainerRef

    sweep = world(trials=4, concurrent_workers=1, trainer=TrainerRef(kind="builtin", name="t"))
    values = [0.5, 0.4, 0.6, 0.1]
    sweep.script = lambda r: Play(curve=(values[r.trial],))
    sweep.run()
    assert [r.settings.get("beat") for r in sweep.executor.requests] == [None, 0.5, 0.5, 0.6]


def test_an_inactive_parameter_is_not_sent(world):
    sweep = world(trials=20)
    sweep.run()
    sent = {("y" in r.params, r.params["kind"]) for r in sweep.executor.requests}
    assert sent == {(True, "b"), (False, "a")}


def test_a_lost_attempt_is_tried_again_with_the_same_parameters_and_seed(world):
    def script(request: TrialRequest) -> Play:
        lost = request.trial == 2 and request.attempt < 2
        return Play(curve=(0.5,), raises=TrialLost("worker vanished") if lost else None)

    sweep = world(trials=4)
    sweep.script = script
    assert sweep.run().code is ExitCode.OK
    attempts = [r for r in sweep.executor.requests if r.trial == 2]
    assert [r.attempt for r in attempts] == [0, 1, 2]
    assert len({(r.seed, tuple(r.params.items())) for r in attempts}) == 1
    assert len({r.key for r in attempts}) == 3


def test_a_trial_lost_too_often_is_told_failed(world):
    def script(request: TrialRequest) -> Play:
        bad = request.trial == 1
        return Play(curve=(0.5,), raises=TrialLost("worker vanished") if bad else None)

    sweep = world(trials=4, retries=RetryConfig(lost=1))
    sweep.script = script
    assert sweep.run().code is ExitCode.OK
    assert sweep.state.trials[1].status == "failed"
    assert sweep.state.trials[1].failure == "lost"
    assert len([r for r in sweep.executor.requests if r.trial == 1]) == 2


@pytest.mark.parametrize("failure", [FailureClass.USER, FailureClass.DIVERGED, FailureClass.OOM])
def test_a_failure_of_the_training_is_not_retried(world, failure):
    def script(request: TrialRequest) -> Play:
        error = TrialError(failure=failure, message="no") if request.trial == 3 else None
        return Play(curve=(0.5,), error=error)

    sweep = world()
    sweep.script = script
    assert sweep.run().code is ExitCode.OK
    assert sweep.state.trials[3].failure == failure
    assert [r.trial for r in sweep.executor.requests].count(3) == 1


def test_a_nan_objective_is_diverged_and_never_told_as_a_value(world):
    sweep = world(trials=3)
    sweep.script = lambda r: Play(metrics={"value": float("nan") if r.trial == 1 else 0.5})
    sweep.run()
    assert sweep.state.trials[1].failure == "diverged"
    assert sweep.state.trials[1].values == ()


def test_identical_errors_in_a_row_stop_the_sweep(world):
    error = TrialError(failure=FailureClass.USER, message="ValueError: bad", fingerprint="f1")
    sweep = world(trials=20, concurrent_workers=1, max_identical_failures=3)
    sweep.script = lambda r: Play(error=error)
    ending = sweep.run()
    assert ending.code is ExitCode.FAILED
    assert "ValueError: bad" in ending.reason
    assert len(sweep.executor.requests) == 3


def test_different_errors_do_not_stop_the_sweep(world):
    def script(request: TrialRequest) -> Play:
        text = f"error {request.trial}"
        error = TrialError(failure=FailureClass.USER, message=text, fingerprint=text)
        return Play(curve=(0.1,), error=None if request.trial == 7 else error)

    sweep = world(max_identical_failures=3)
    sweep.script = script
    assert sweep.run().code is ExitCode.OK


def test_more_failures_than_allowed_stop_the_sweep(world):
    def script(request: TrialRequest) -> Play:
        error = TrialError(failure=FailureClass.USER, message=f"e{request.trial}")
        return Play(error=error, curve=(0.1,))

    sweep = world(trials=20, concurrent_workers=1, max_failures=4)
    sweep.script = script
    ending = sweep.run()
    assert ending.code is ExitCode.FAILED
    assert sweep.state.count("failed") == 5


def test_a_hopeless_trial_is_pruned_while_it_runs(world):
    def script(request: TrialRequest) -> Play:
        good = request.trial < 6
        return Play(duration_s=100, curve=[0.9 if good else 0.1] * 20)

    sweep = world(
        trials=8,
        concurrent_workers=1,
        pruner=PrunerConfig(name="median", options={"n_startup_trials": 4, "n_warmup_steps": 2}),
    )
    sweep.script = script
    assert sweep.run().code is ExitCode.OK
    assert sweep.state.count("pruned") == 2
    assert len(sweep.state.trials[7].curve) < 6
    assert sweep.clock.monotonic() < 6 * 100 + 2 * 40


def test_a_trial_that_completes_although_pruned_counts_as_completed(world):
    def script(request: TrialRequest) -> Play:
        good = request.trial < 6
        return Play(duration_s=100, curve=[0.9 if good else 0.1] * 20, ignores_cancel=True)

    sweep = world(
        trials=7, concurrent_workers=1,
        pruner=PrunerConfig(name="median", options={"n_startup_trials": 4}),
    )  # fmt: skip
    sweep.script = script
    sweep.run()
    assert sweep.named("trial_cancelling")
    assert sweep.state.trials[6].status == "completed"


def test_in_a_reproducible_sweep_the_pruners_decision_stands(world):
    def script(request: TrialRequest) -> Play:
        good = request.trial < 6
        return Play(duration_s=100, curve=[0.9 if good else 0.1] * 20, ignores_cancel=True)

    sweep = world(
        trials=7, concurrent_workers=1, reproducible=True, look_ahead=1,
        pruner=PrunerConfig(name="median", options={"n_startup_trials": 4}),
    )  # fmt: skip
    sweep.script = script
    sweep.run()
    assert sweep.state.trials[6].status == "pruned"


def test_a_trial_over_its_deadline_is_cancelled_and_failed(world):
    sweep = world(trials=4, trial_timeout_s=60.0)
    sweep.script = lambda r: Play(duration_s=3600 if r.trial == 2 else 10, curve=(0.5,))
    assert sweep.run().code is ExitCode.OK
    assert sweep.state.trials[2].failure == "timeout"
    assert sweep.clock.monotonic() < 200


def test_the_sweeps_timeout_cancels_what_runs_and_is_resumable(world):
    sweep = world(trials=50, timeout_s=95.0)
    ending = sweep.run()
    assert ending.code is ExitCode.CAPPED
    done = sweep.state.count("completed")
    assert 10 <= done < 50
    sweep.config = sweep.config.model_copy(update={"timeout_s": None})
    assert sweep.run().code is ExitCode.OK
    assert Counter(e.trial for e in sweep.named("trial_finished")) == Counter(range(50))


def test_a_refused_submission_is_put_back_and_costs_no_attempt(world):
    refusals = iter([True, True, True] + [False] * 100)

    def script(request: TrialRequest) -> Play:
        refuses = ExecutorUnavailable("429", retry_after_s=5.0) if next(refusals) else None
        return Play(refuses=refuses, curve=(0.5,))

    sweep = world(trials=5)
    sweep.script = script
    assert sweep.run().code is ExitCode.OK
    assert {r.attempt for r in sweep.executor.requests} == {0}
    assert len(sweep.named("trial_withdrawn")) == 3
    assert sweep.named("capacity_changed")


def test_a_backend_that_stays_unavailable_ends_the_sweep(world):
    sweep = world(trials=5)
    sweep.script = lambda r: Play(refuses=ExecutorUnavailable("503"))
    ending = sweep.run()
    assert ending.code is ExitCode.NO_BACKEND
    assert "503" in ending.reason
    assert sweep.clock.monotonic() < 200


def test_a_rejected_submission_ends_the_sweep_at_once_and_loses_nothing(world):
    sweep = world(trials=5)
    sweep.script = lambda r: Play(refuses=ExecutorRejected("401", hint="check the key"))
    ending = sweep.run()
    assert (ending.code, ending.hint) == (ExitCode.NO_BACKEND, "check the key")
    sweep.script = lambda r: Play(curve=(0.5,))
    assert sweep.run().code is ExitCode.OK
    assert Counter(e.trial for e in sweep.named("trial_finished")) == Counter(range(5))


def test_an_executor_that_raises_anything_costs_one_attempt(world):
    def script(request: TrialRequest) -> Play:
        if request.trial == 1 and request.attempt == 0:
            raise KeyError("plugin bug")
        return Play(curve=(0.5,))

    sweep = world(trials=4)
    sweep.script = script
    assert sweep.run().code is ExitCode.OK
    assert [r.attempt for r in sweep.executor.requests if r.trial == 1] == [1]


def test_the_first_interrupt_drains_and_resume_goes_on(world):
    sweep = world(trials=10)

    def arm(scheduler):
        sweep.clock.call_in(25, lambda: scheduler.post(Stop("SIGINT")))

    sweep.on_scheduler = arm
    ending = sweep.run()
    assert ending.code is ExitCode.INTERRUPTED
    assert not [t for t in sweep.state.trials.values() if t.status == "running"]
    sweep.on_scheduler = None
    assert sweep.run().code is ExitCode.OK
    assert Counter(e.trial for e in sweep.named("trial_finished")) == Counter(range(10))


def test_draining_ends_with_cancelling_what_takes_too_long(world):
    sweep = world(trials=4)
    sweep.script = lambda r: Play(duration_s=1000, curve=(0.5,) * 10)
    sweep.on_scheduler = lambda s: sweep.clock.call_in(150, lambda: s.post(Stop("SIGTERM")))
    ending = sweep.run()
    assert ending.code is ExitCode.TERMINATED
    assert sweep.clock.monotonic() <= 150 + 30
    assert sweep.state.count("completed") == 0
    assert len(sweep.executor.cancelled) == 2


def test_the_second_interrupt_ends_at_once(world):
    sweep = world(trials=4)
    sweep.script = lambda r: Play(duration_s=1000, curve=(0.5,), ignores_cancel=True)

    def arm(scheduler):
        sweep.clock.call_in(10, lambda: scheduler.post(Stop("SIGINT")))
        sweep.clock.call_in(11, lambda: scheduler.post(Stop("SIGINT")))

    sweep.on_scheduler = arm
    assert sweep.run().code is ExitCode.INTERRUPTED
    assert sweep.clock.monotonic() == 11


def test_more_trials_can_be_asked_for_later(world):
    sweep = world(trials=5)
    sweep.run()
    sweep.config = sweep.config.model_copy(update={"trials": 9})
    assert sweep.run().code is ExitCode.OK
    assert sorted(sweep.state.trials) == list(range(9))


def test_a_grid_ends_when_it_is_exhausted(world):
    from hpocli.space import CategoricalParam, SearchSpace

    space = SearchSpace(
        params=(
            CategoricalParam(name="x", choices=(0.1, 0.2, 0.3)),
            CategoricalParam(name="kind", choices=("a", "b")),
        )
    )
    sweep = world(trials=100, space=space, sampler=SamplerConfig(name="grid"))
    assert sweep.run().code is ExitCode.OK
    points = {tuple(sorted(r.params.items())) for r in sweep.executor.requests}
    assert len(points) == 6 == len(sweep.executor.requests)


def test_enqueued_points_come_first(world):
    sweep = world(enqueue=({"x": 0.25, "kind": "a"},))
    sweep.run()
    assert sweep.executor.requests[0].params == {"x": 0.25, "kind": "a"}
    assert sweep.named("trial_created")[0].source == "enqueued"


def test_several_objectives_give_a_value_each_and_no_best(world):
    sweep = world(objectives=("a", "b"), directions=("maximize", "minimize"))
    sweep.script = lambda r: Play(curve=(0.5,), metrics={"a": 0.1 * r.trial, "b": 1.0})
    assert sweep.run().code is ExitCode.OK
    assert sweep.state.trials[3].values == (pytest.approx(0.3), 1.0)
    assert not sweep.named("best_improved")


def test_the_health_mode_weighs_the_objective(world):
    sweep = world(trials=1, mode="health", health_weight=0.25)
    sweep.script = lambda r: Play(metrics={"value": 0.8}, health={"overall_health": 0.4})
    sweep.run()
    assert sweep.state.trials[0].values == (pytest.approx(0.75 * 0.8 + 0.25 * 0.4),)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_reproducible_sweep_proposes_the_same_for_any_number_of_workers(world, tmp_path, sampler):
    found = []
    for workers, jitter in ((1, 3), (2, 5), (4, 7)):
        sweep = world(
            tmp_path / f"k{workers}",
            trials=24,
            concurrent_workers=workers,
            reproducible=True,
            look_ahead=4,
            seed=3,
            sampler=SamplerConfig(name=sampler, options={}),
            pruner=PrunerConfig(name="median", options={"n_startup_trials": 3}),
        )

        def script(request: TrialRequest, jitter: int = jitter) -> Play:
            from math import sin

            value = 1.0 - (float(request.params["x"]) - 0.3) ** 2
            duration = 10 + 9 * sin(request.trial * jitter)
            return Play(duration_s=duration, curve=[value * (s + 1) / 10 for s in range(10)])

        sweep.script = script
        assert sweep.run().code is ExitCode.OK
        found.append(
            {n: (dict(t.params), t.status, t.values) for n, t in sweep.state.trials.items()}
        )
    assert found[0] == found[1] == found[2]
    assert any(status == "pruned" for _, status, _ in found[0].values())
