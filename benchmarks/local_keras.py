"""Local Keras trials: what a trial costs beyond its fit, and the digits demo against two peers.

    python benchmarks/local_keras.py [--quick] [--repeat N]
    python benchmarks/local_keras.py --threads

The peers run the very trials that `hpo run local` proposed, with the same trainer, sampler, pruner
and seeds, through Optuna's `study.optimize` on its own journal file: all in one process, and in a
fresh process for each trial, as many at a time as the sweep has workers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import optuna
from measuring import Times, compiling, load_line, print_table, run_python

from hpocli import events as ev
from hpocli.config import SweepConfig
from hpocli.eventlog import read_log
from hpocli.flight import trial_settings
from hpocli.plugins import discover
from hpocli.resolve import load_config
from hpocli.study import spaces, trial_seed
from hpocli.study.pruners import build_pruner
from hpocli.study.samplers import build_sampler
from hpocli.sweepkeys import SWEEP_KEYS

SWEEP = Path(__file__).parents[1] / "examples" / "digits.yaml"
TARGET = 0.03
WORKERS = 2
ALONE = 6  # trials of the sweep with one worker
WARM_UP = "import keras, optuna, tensorflow, hpo_handler.training, hpo_handler.process"


# --- the three ways to run the same trials -------------------------------------------------------


class Bench:
    """A folder, the environment of all that runs in it, and the changes to the digits sweep."""

    def __init__(self, folder: Path, changes: Sequence[str]) -> None:
        self._folder = folder
        self._changes = list(changes)
        self._environ = compiling(str(folder / "compiled"))
        run_python(("-c", WARM_UP), self._environ)

    def sweep(self, name: str, *changes: str) -> tuple[Times, list[ev.Record]]:
        """Run `hpo run local`; return its times and its events."""
        runs = self._folder / "runs"
        arguments = ("-m", "hpocli", "run", "local", str(SWEEP), "--quiet")
        where = (f"run_name={name}", f"runs_dir={runs}")
        times = run_python((*arguments, *where, *self._changes, *changes), self._environ)
        return times, read_log(runs / name / "events.jsonl")

    def one_process(self, name: str, records: Sequence[ev.Record]) -> tuple[float, Path]:
        """Run the trials that the events tell of in one process; return seconds and journal."""
        study, count = self._prepare(name, records)
        begun = perf_counter()
        self._optimize(study, count, os.environ)
        return perf_counter() - begun, study

    def process_each(self, name: str, records: Sequence[ev.Record]) -> tuple[float, Path]:
        """Run them in a process each, `WORKERS` at a time with their share of the cores."""
        study, count = self._prepare(name, records)
        share = str(max(1, len(os.sched_getaffinity(0)) // WORKERS))
        names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
        begun = perf_counter()
        with ThreadPoolExecutor(WORKERS) as pool:
            tasks = [
                pool.submit(self._optimize, study, 1, dict.fromkeys(names, share))
                for _ in range(count)
            ]
        for task in tasks:
            task.result()
        return perf_counter() - begun, study

    def _prepare(self, name: str, records: Sequence[ev.Record]) -> tuple[Path, int]:
        folder = self._folder / name
        folder.mkdir()
        points = [r.event.params for r in records if isinstance(r.event, ev.TrialCreated)]
        (folder / "changes.json").write_text(json.dumps(self._changes))
        study = open_study(folder, read_config(self._changes), create=True)
        for point in points:
            study.enqueue_trial(dict(point))
        return folder, len(points)

    def _optimize(self, folder: Path, trials: int, environ: Mapping[str, str]) -> None:
        arguments = (__file__, "--optimize", str(trials), "--study", str(folder))
        run_python(arguments, {**self._environ, **environ, "TF_CPP_MIN_LOG_LEVEL": "2"})


def read_config(changes: Sequence[str]) -> SweepConfig:
    catalog = discover({}, reserved=SWEEP_KEYS).catalog
    return load_config(
        executor="local",
        sweep_file=SWEEP,
        assignments=[*changes, "run_name=peer"],
        environ={},
        options={},
        catalog=catalog,
        cwd=Path.cwd(),
    )


def open_study(folder: Path, config: SweepConfig, *, create: bool = False) -> optuna.Study:
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "study.journal"))
    return optuna.create_study(
        study_name="peer",
        storage=optuna.storages.JournalStorage(backend),
        sampler=build_sampler(config),
        pruner=build_pruner(config),
        directions=list(config.directions),
        load_if_exists=not create,
    )


def optimize(folder: Path, trials: int) -> None:
    """Be a peer: run `trials` enqueued trials in this process."""
    from hpo_handler.context import StopSignal, TrialContext, TrialStopped
    from hpo_handler.training import train

    config = read_config(json.loads((folder / "changes.json").read_text()))

    def objective(trial: optuna.Trial) -> float:
        for param in config.space.params:
            if config.space.is_active(param, trial.params):
                spaces.suggest(trial, param, spaces.distribution(param))
        stop = StopSignal()
        workdir = folder / str(trial.number)
        workdir.mkdir()

        def report(progress: Any) -> None:
            trial.report(progress.value, progress.step)
            if trial.should_prune():
                stop.set()

        context = TrialContext(
            params={**trial.params, **dict(config.space.fixed)},
            settings=trial_settings(config),
            objectives=config.objectives,
            seed=trial_seed(config.seed, trial.number),
            workdir=workdir,
            number=trial.number,
            on_report=report,
            stop=stop,
        )
        try:
            return float(train(context).metrics[config.objectives[0]])
        except TrialStopped:
            raise optuna.TrialPruned from None

    open_study(folder, config).optimize(objective, n_trials=trials)


# --- what is read from the runs ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Slot:
    """Seconds of one trial: its slot as the scheduler saw it, its process's part, its fit."""

    slot_s: float
    duration_s: float
    fit_s: float


def warm_slots(records: Sequence[ev.Record]) -> Iterator[Slot]:
    """Yield the completed trials, except for the first of each worker."""
    begun: dict[int, float] = {}
    seen: set[str] = set()
    for record in records:
        match record.event:
            case ev.TrialSubmitting(trial=trial):
                begun[trial] = record.ts
            case ev.AttemptEnded(trial=trial, worker=worker, duration_s=took, fit_s=fit):
                warm = worker in seen
                seen.add(worker)
                if warm and took and fit:
                    yield Slot(record.ts - begun[trial], took, fit)


def epochs_reported(records: Sequence[ev.Record]) -> int:
    return sum(isinstance(record.event, ev.TrialReported) for record in records)


def epochs_of_peer(folder: Path) -> int:
    config = read_config(json.loads((folder / "changes.json").read_text()))
    return sum(len(t.intermediate_values) for t in open_study(folder, config).trials)


# --- the tables ----------------------------------------------------------------------------------


def show_overhead(by_workers: Mapping[int, Sequence[Slot]]) -> None:
    print("\nwhat a warm trial takes beyond its own model.fit (medians)")
    rows = []
    for workers, slots in by_workers.items():
        middle = statistics.median
        rows.append(
            (
                str(workers),
                str(len(slots)),
                f"{middle(s.slot_s for s in slots):.3f}",
                f"{middle(s.fit_s for s in slots):.3f}",
                f"{middle((s.duration_s - s.fit_s) / s.fit_s for s in slots):.1%}",
                f"{middle((s.slot_s - s.duration_s) / s.fit_s for s in slots):.1%}",
                f"{middle((s.slot_s - s.fit_s) / s.fit_s for s in slots):.1%}",
            )
        )
    columns = ("workers", "trials", "slot s", "fit s", "data, model, measuring", "scheduling")
    print_table((*columns, "both / fit"), rows)
    print(f"target: at most {TARGET:.0%} of the fit")


def show_demo(found: Mapping[str, Sequence[tuple[float, int]]]) -> None:
    ours = statistics.median(wall for wall, _ in next(iter(found.values())))
    rows = []
    for name, runs in found.items():
        wall = statistics.median(wall for wall, _ in runs)
        epochs = statistics.median(epochs for _, epochs in runs)
        rows.append((name, f"{wall:.1f}", f"{epochs:.0f}", f"{wall / ours:.2f} x"))
    print("\nthe same trials, start of the process to its end (medians)")
    print_table(("way", "wall s", "epochs", "time / hpo's"), rows)


def compare(bench: Bench, repetitions: int) -> None:
    names = (f"hpo run local, {WORKERS} workers", "study.optimize, one process",
             f"one process a trial, {WORKERS} at a time")  # fmt: skip
    demo: dict[str, list[tuple[float, int]]] = {name: [] for name in names}
    slots: dict[int, list[Slot]] = {1: [], WORKERS: []}
    for number in range(repetitions):
        times, records = bench.sweep(f"ours-{number}", f"concurrent_workers={WORKERS}")
        demo[names[0]].append((times.wall_s, epochs_reported(records)))
        slots[WORKERS] += warm_slots(records)
        for name, peer in ((names[1], bench.one_process), (names[2], bench.process_each)):
            wall, folder = peer(f"peer-{name[:9]}-{number}".replace(" ", "-"), records)
            demo[name].append((wall, epochs_of_peer(folder)))
        few = min(ALONE, sum(isinstance(r.event, ev.TrialCreated) for r in records))
        _, records = bench.sweep(f"alone-{number}", "concurrent_workers=1", f"trials={few}")
        slots[1] += warm_slots(records)
    show_overhead({workers: found for workers, found in slots.items() if found})
    show_demo(demo)


def compare_threads(bench: Bench, repetitions: int) -> None:
    settings = [(2, 1), (2, 2), (1, 1), (1, 2)]
    found: dict[tuple[int, int], list[Times]] = {each: [] for each in settings}
    for number in range(repetitions):
        for workers, threads in settings:
            times, _ = bench.sweep(
                f"w{workers}t{threads}-{number}",
                f"concurrent_workers={workers}",
                f"threads_per_worker={threads}",
            )
            found[workers, threads].append(times)
    wall = {each: statistics.median(t.wall_s for t in some) for each, some in found.items()}
    rows = [
        (
            *map(str, each),
            f"{wall[each]:.1f}",
            f"{statistics.median(t.cpu_s for t in found[each]):.1f}",
            f"{wall[each] / wall[settings[0]]:.2f} x",
        )
        for each in settings
    ]
    print_table(("workers", "threads each", "wall s", "CPU s", "wall against the first"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="4 trials of 3 epochs, once")
    parser.add_argument("--repeat", type=int, help="repetitions (3; with --quick 1)")
    parser.add_argument("--threads", action="store_true", help="compare threads per worker instead")
    parser.add_argument("--optimize", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--study", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if given.optimize:
        optimize(given.study, given.optimize)
        return
    changes = ["plot_generation=none"]
    if given.quick:
        changes += ["trials=4", "max_epochs_per_trial=3", "min_epochs_per_trial=2"]
    elif given.threads:
        changes += ["trials=6"]
    repetitions = given.repeat or (1 if given.quick else 3)
    print(f"{load_line()}; median of {repetitions}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), changes)
        (compare_threads if given.threads else compare)(bench, repetitions)
    print(load_line())


if __name__ == "__main__":
    main()
