"""What the scheduler costs a trial beside the sampler, against bare Optuna loops.

    python benchmarks/scheduler_cost.py [--quick] [--profile]

The scheduler, the study with its journal and the event log are the real ones, on a real disk;
trials take no time (a scripted executor on a virtual clock). The peers are the same proposals
asked for and told in a plain loop, in memory and with Optuna's own journal file. Everything is
CPU time of the whole process, threads included; the sampler's own is measured around its methods.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from measuring import load_line, print_table
from optuna.storages.journal import JournalFileBackend

from hpocli import events as ev
from hpocli.config import PrunerConfig, SamplerConfig, SweepConfig
from hpocli.ending import Policy
from hpocli.eventlog import EventLog
from hpocli.flight import RequestFactory
from hpocli.ledger import Ledger
from hpocli.recovery import Recovery
from hpocli.scheduler import Parts, Scheduler
from hpocli.space import FloatParam, IntParam, SearchSpace
from hpocli.spi import TrainerRef, TrialRequest
from hpocli.state import RunState
from hpocli.study import SweepStudy, spaces
from hpocli.study.samplers import SeededSampler
from hpocli.testing import Play, ScriptedExecutor, VirtualClock

TARGET_MS = 1.0
SPACE = SearchSpace(
    params=(
        FloatParam(name="x", low=0.0, high=1.0),
        FloatParam(name="y", low=1e-3, high=1.0, log=True),
        IntParam(name="z", low=1, high=64),
    )
)
_SAMPLING = ("before_trial", "infer_relative_search_space", "sample_relative",
             "sample_independent", "after_trial")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU milliseconds a trial: in all, and the sampler's part of it."""

    total: float
    sampler: float

    @property
    def rest(self) -> float:
        """What is left without the sampler."""
        return self.total - self.sampler


class SamplerTime:
    """Sums up the CPU seconds spent inside a sampler's methods."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def watch(self, sampler: Any) -> Any:
        """Return the sampler with its methods timed."""
        for name in _SAMPLING:
            setattr(sampler, name, self._timed(getattr(sampler, name)))
        return sampler

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            begun = time.thread_time()
            try:
                return method(*args, **kwargs)
            finally:
                self.spent_s += time.thread_time() - begun

        return timed


def config(trials: int) -> SweepConfig:
    """Return a sweep with the random sampler and no pruning."""
    return SweepConfig(
        trainer=TrainerRef(kind="function", name="m:f"),
        space=SPACE,
        sampler=SamplerConfig(name="random"),
        pruner=PrunerConfig(name="none"),
        trials=trials,
        concurrent_workers=2,
        run_name="run",
        executor="scripted",
    )


def scheduled(trials: int, reports: int, folder: Path) -> Cost:
    """Run the sweep as `hpo run` does, up to the console."""
    settings, clock, sampling = config(trials), VirtualClock(), SamplerTime()
    study = SweepStudy.open(settings, journal=folder / "study.journal", name="run", create=True)
    sampling.watch(study._study.sampler)
    ledger = Ledger(EventLog(folder / "events.jsonl", clock), RunState())
    curve = [step / max(reports, 1) for step in range(reports)]

    def script(request: TrialRequest) -> Play:
        score = -((float(request.params["x"] or 0) - 0.3) ** 2)
        return Play(duration_s=10 + request.trial % 3, curve=curve, metrics={"value": score})

    executor = ScriptedExecutor(clock, script)
    requests = RequestFactory(settings, "uid", lambda number: folder / str(number))
    parts = Parts(
        config=settings, study=study, ledger=ledger, executor=executor, requests=requests,
        clock=clock,
    )  # fmt: skip
    scheduler = Scheduler(parts, Policy(settings, ledger.state, window_s=30.0))
    begun = time.process_time()
    ledger.emit(_header(settings))
    Recovery(parts, scheduler).run()
    scheduler.run()
    study.close()
    ledger.close()
    return _cost(begun, sampling, trials)


def _header(settings: SweepConfig) -> ev.RunStarted:
    return ev.RunStarted(
        run="run", uid="uid", epoch=1, executor="scripted", trials=settings.trials,
        concurrent_workers=settings.concurrent_workers, objectives=settings.objectives,
        directions=settings.directions, trainer="t", sampler="random", pruner="none",
        seed=settings.seed, version="0", pid=1, host="h",
    )  # fmt: skip


def bare(trials: int, reports: int, storage: optuna.storages.BaseStorage | None) -> Cost:
    """Ask, report and tell in a plain loop."""
    sampling = SamplerTime()
    plain = optuna.samplers.RandomSampler(seed=0)
    sampler = SeededSampler(lambda _seed: plain, seed=0, quick=False, fresh=False)
    study = optuna.create_study(
        sampler=sampling.watch(sampler), pruner=optuna.pruners.NopPruner(), storage=storage
    )
    dists = {param.name: spaces.distribution(param) for param in SPACE.params}
    begun = time.process_time()
    for _ in range(trials):
        trial = study.ask(dists)
        for step in range(reports):
            trial.report(step / reports, step)
            trial.should_prune()
        study.tell(trial, -((trial.params["x"] - 0.3) ** 2))
    return _cost(begun, sampling, trials)


def in_memory(trials: int, reports: int, folder: Path) -> Cost:
    """Run the plain loop with nothing on disk."""
    del folder
    return bare(trials, reports, None)


def stock_journal(trials: int, reports: int, folder: Path) -> Cost:
    """Run the plain loop with Optuna's journal file."""
    backend = JournalFileBackend(str(folder / "stock.journal"))
    return bare(trials, reports, optuna.storages.JournalStorage(backend))


def _cost(begun: float, sampling: SamplerTime, trials: int) -> Cost:
    spent_s = time.process_time() - begun
    return Cost(total=1e3 * spent_s / trials, sampler=1e3 * sampling.spent_s / trials)


LOOPS: Mapping[str, Callable[[int, int, Path], Cost]] = {
    "scheduler, event log and journal on disk": scheduled,
    "bare loop, Optuna's journal file": stock_journal,
    "bare loop, in memory": in_memory,
}


def measure(trials: int, reports: int, repetitions: int) -> dict[str, Cost]:
    """Return the median cost of each loop; the loops take turns."""
    found: dict[str, list[Cost]] = {name: [] for name in LOOPS}
    for _ in range(repetitions):
        for name, loop in LOOPS.items():
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(loop(trials, reports, Path(folder)))
    return {name: _median(costs) for name, costs in found.items()}


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        total=statistics.median(c.total for c in costs),
        sampler=statistics.median(c.sampler for c in costs),
    )


def show(costs: Mapping[str, Cost], reports: int) -> None:
    ours = next(iter(costs.values()))
    memory = costs["bare loop, in memory"]
    print(f"\n{reports} reports a trial")
    print_table(
        ("CPU ms a trial", "in all", "sampler", "rest", "rest, ours / this", "above in memory"),
        [
            (
                name,
                f"{cost.total:.3f}",
                f"{cost.sampler:.3f}",
                f"{cost.rest:.3f}",
                f"{ours.rest / cost.rest:.2f} x",
                f"{cost.total - memory.total:.3f}",
            )
            for name, cost in costs.items()
        ],
    )
    verdict = "met" if ours.rest <= TARGET_MS else "not met"
    print(f"target {TARGET_MS:g} ms beside the sampler: {verdict} ({ours.rest:.3f} ms)")


def profile(trials: int, reports: int) -> None:
    profiler = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        profiler.enable()
        scheduled(trials, reports, Path(folder))
        profiler.disable()
    for order in ("tottime", "cumulative"):
        pstats.Stats(profiler).sort_stats(order).print_stats(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 trials, once")
    parser.add_argument("--profile", action="store_true", help="say where the time goes instead")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials, repetitions = (100, 1) if given.quick else (400, 5)
    if given.profile:
        profile(trials, 0)
        return
    print(f"{load_line()}; {trials} trials, median of {repetitions}")
    for reports in (0, 5):
        show(measure(trials, reports, repetitions), reports)
    print(load_line())


if __name__ == "__main__":
    main()
