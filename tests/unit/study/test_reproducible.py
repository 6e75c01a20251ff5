"""Fixed lag: the same proposals and the same pruning for any number of workers and any timing."""

from __future__ import annotations

import random

import pytest

from hpocli.study import SweepStudy

LOOK_AHEAD = 4
STEPS = 8


def curve(params: dict, step: int) -> float:
    base = 1 - abs(params["dropout"] - 0.3) - params["units"] / 1000
    return base * (step + 1) / STEPS


class Simulation:
    """Workers that run trials a step at a time in a random order; tells are held back in order."""

    def __init__(self, study: SweepStudy, workers: int, timing: int) -> None:
        self.study, self.workers = study, workers
        self.dice = random.Random(timing)
        self.running: dict[int, tuple[dict, int]] = {}
        self.ended: dict[int, str] = {}
        self.told = self.asked = study.first_number
        self.params: list[dict] = []
        self.pruned: dict[int, int] = {}

    def run(self, trials: int) -> None:
        while self.told < trials:
            while self.asked < trials and len(self.running) < self.workers and self.ask():
                pass
            if self.running:
                self.step(self.dice.choice(list(self.running)))
            if self.asked == trials:
                self.tell_below(self.asked)

    def ask(self) -> bool:
        visible = max(0, self.asked - LOOK_AHEAD + 1)
        self.tell_below(visible)
        if self.told < visible:
            return False
        proposal = self.study.ask(visible=visible)
        self.params.append(proposal.params)
        self.running[proposal.number] = (proposal.params, 0)
        self.asked += 1
        return True

    def step(self, number: int) -> None:
        params, step = self.running[number]
        self.study.report(number, step, curve(params, step))
        if self.study.should_prune(number):
            self.pruned[number] = step
            self.ended[number] = "pruned"
            if self.dice.random() < 0.5:  # the cancel is late and a further report arrives
                self.study.report(number, step + 1, 99.0)
        elif step + 1 == STEPS:
            self.ended[number] = "completed"
        self.running[number] = (params, step + 1)
        if number in self.ended:
            del self.running[number]

    def tell_below(self, number: int) -> None:
        while self.told < number and self.told in self.ended:
            value = curve(self.params[self.told], STEPS - 1)
            self.study.tell(self.told, self.ended[self.told], [value])
            self.told += 1


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband", "patient"])
@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_workers_and_timing_change_neither_proposals_nor_pruning(
    sampler, pruner, make_config, open_study
) -> None:
    seen = []
    for workers, timing in [(1, 0), (2, 1), (4, 2), (4, 3)]:
        config = make_config(
            sampler,
            pruner,
            options={"population_size": 4} if sampler == "nsga2" else {},
            pruner_options={"n_warmup_steps": 0} if pruner == "median" else {},
            max_epochs_per_trial=STEPS,
            min_epochs_per_trial=2,
            reproducible=True,
            concurrent_workers=workers,
            look_ahead=LOOK_AHEAD,
        )
        simulation = Simulation(open_study(config, file=f"{workers}-{timing}"), workers, timing)
        simulation.run(30)
        seen.append((simulation.params, simulation.pruned))
    assert all(one == seen[0] for one in seen[1:])
    assert seen[0][1] or pruner == "patient", "nothing was pruned, so nothing was shown"


def test_without_it_timing_does_change_them(make_config, open_study) -> None:
    seen = []
    for timing in (1, 2):
        config = make_config("tpe", "asha", max_epochs_per_trial=STEPS, min_epochs_per_trial=2)
        simulation = Simulation(open_study(config, file=f"{timing}"), 4, timing)
        simulation.run(30)
        seen.append((simulation.params, simulation.pruned))
    assert seen[0] != seen[1]


def test_a_resumed_trial_keeps_the_view_it_was_asked_with(make_config, open_study) -> None:
    config = make_config(
        pruner="median",
        pruner_options={"n_startup_trials": 1, "n_warmup_steps": 0},
        reproducible=True,
    )
    decisions = []
    for resume in (False, True):
        study = open_study(config, file=str(resume))
        numbers = [study.ask(visible=0).number for _ in range(3)]
        for number in numbers[:2]:
            study.report(number, 0, 0.9)
            study.tell(number, "completed", [0.9])
        late = study.ask(visible=2).number
        if resume:
            study.close()
            study = open_study(config, create=False, file=str(resume))
        for number in (numbers[2], late):
            study.report(number, 0, 0.1)
            decisions.append(study.should_prune(number))
    assert decisions == [False, True, False, True]
