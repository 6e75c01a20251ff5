"""A whole sweep in virtual time: the real scheduler, study, journal and event log on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hpocli import events as ev
from hpocli.config import PrunerConfig, SamplerConfig, SweepConfig
from hpocli.ending import Ending, Policy
from hpocli.eventlog import EventLog, LogReader
from hpocli.events import Record
from hpocli.flight import RequestFactory
from hpocli.ledger import Ledger
from hpocli.recovery import Recovery
from hpocli.scheduler import Parts, Scheduler
from hpocli.space import CategoricalParam, Condition, FloatParam, SearchSpace
from hpocli.spi import TrainerRef, TrialRequest
from hpocli.state import RunState, fold
from hpocli.study import SweepStudy
from hpocli.testing import Play, ScriptedExecutor, VirtualClock

SPACE = SearchSpace(
    params=(
        FloatParam(name="x", low=0.0, high=1.0),
        CategoricalParam(name="kind", choices=("a", "b")),
        FloatParam(
            name="y", low=1e-3, high=1.0, log=True, when=(Condition(parent="kind", values=("b",)),)
        ),
    )
)


def score(request: TrialRequest) -> float:
    """A smooth objective of the parameters."""
    x, y = float(request.params["x"] or 0), float(request.params.get("y") or 0.5)
    return 1.0 - (x - 0.3) ** 2 - 0.1 * y


def default_script(request: TrialRequest) -> Play:
    value = score(request)
    return Play(duration_s=10 + request.trial % 3, curve=(value / 2, value))


@dataclass
class World:
    """One run folder and what happened in it."""

    root: Path
    config: SweepConfig
    script: Callable[[TrialRequest], Play] = default_script
    executor: ScriptedExecutor | None = None
    clock: VirtualClock = field(default_factory=VirtualClock)
    state: RunState = field(default_factory=RunState)
    executor_options: dict[str, Any] = field(default_factory=dict)
    listeners: list[Any] = field(default_factory=list)
    on_scheduler: Callable[[Scheduler], None] | None = None

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def journal(self) -> Path:
        return self.root / "study.journal"

    def records(self) -> list[Record]:
        return list(LogReader(self.events).records())

    def named(self, name: str) -> list[Any]:
        return [r.event for r in self.records() if r.event.name == name]

    def run(self) -> Ending:
        """Run, or go on with, the sweep in this folder until it ends."""
        reader = LogReader(self.events)
        self.state = fold(reader.records()) if self.events.exists() else RunState()
        create = False if self.state.trials else None
        log = EventLog(self.events, self.clock, last_seq=reader.last_seq, size=reader.good_bytes)
        ledger = Ledger(log, self.state)
        for listener in self.listeners:
            ledger.listen(listener)
        study = SweepStudy.open(self.config, journal=self.journal, name="sweep", create=create)
        try:
            ledger.emit(self._header())
            return self._drive(ledger, study)
        finally:
            study.close()
            ledger.close()

    def _drive(self, ledger: Ledger, study: SweepStudy) -> Ending:
        self.executor = ScriptedExecutor(self.clock, self.script, **self.executor_options)
        parts = Parts(
            config=self.config,
            study=study,
            ledger=ledger,
            executor=self.executor,
            requests=RequestFactory(self.config, "uid", lambda n: self.root / str(n)),
            clock=self.clock,
        )
        policy = Policy(self.config, ledger.state, window_s=30.0)
        scheduler = Scheduler(parts, policy)
        if self.on_scheduler:
            self.on_scheduler(scheduler)
        Recovery(parts, scheduler).run()
        ending = scheduler.run()
        self.executor.close()
        return ending

    def _header(self) -> ev.RunStarted:
        return ev.RunStarted(
            run="run", uid="uid", epoch=1, executor="scripted", trials=self.config.trials,
            concurrent_workers=self.config.concurrent_workers, objectives=self.config.objectives,
            directions=self.config.directions, trainer="t", sampler="random", pruner="none",
            seed=self.config.seed, version="0", pid=1, host="h",
        )  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., World]:
    def make(root: Path | None = None, **changes: Any) -> World:
        values: dict[str, Any] = {
            "trainer": TrainerRef(kind="function", name="m:f"),
            "space": SPACE,
            "sampler": SamplerConfig(name="random"),
            "pruner": PrunerConfig(name="none"),
            "trials": 8,
            "concurrent_workers": 2,
            "run_name": "run",
            "executor": "scripted",
        }
        where = root or tmp_path / "run"
        where.mkdir(exist_ok=True)
        return World(where, SweepConfig(**(values | changes)))

    return make
