"""The study of one sweep: what to try next, what to stop, what is known.

Used by one thread. Every trial is asked for once, told once, and keeps its number for ever.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, Trial, TrialState

from hpocli.clock import SystemClock
from hpocli.config import SweepConfig
from hpocli.errors import ConfigError, HpoError, StateError
from hpocli.spi import JsonScalar
from hpocli.study import spaces
from hpocli.study.grid import Grid
from hpocli.study.importance import param_importances
from hpocli.study.inherit import WARM_START, inherited
from hpocli.study.pruners import build_pruner
from hpocli.study.samplers import build_sampler
from hpocli.study.storage import StudyStorage, open_storage, quiet_optuna
from hpocli.study.view import told_before

KnownState = Literal["running", "completed", "pruned", "failed"]

_STATES: dict[TrialState, KnownState] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
_ENDINGS = {
    "completed": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
_SOURCE = "source"
_VISIBLE = "visible"
_PRUNED_AT = "pruned_at"
_SMOOTHING = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What to try as trial `number`. `source`: "sampler", or "enqueued" for a point of the user's.

    params: all that the trial needs, fixed ones included, inactive ones left out.
    """

    number: int
    params: dict[str, JsonScalar]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTrial:
    """A trial as the study has it. `complete`: every active parameter has a value."""

    number: int
    state: KnownState
    params: dict[str, JsonScalar]
    values: tuple[float, ...]
    complete: bool


@dataclass(slots=True)
class _Running:
    handle: Trial
    steps: set[int]
    pruned: bool


class SweepStudy:
    """Optuna's study, bound to a sweep. Any method raises StateError where the storage fails."""

    def __init__(self, config: SweepConfig, study: optuna.Study, storage: StudyStorage) -> None:
        self._config = config
        self._study = study
        self._storage = storage
        self._study_id = storage.optuna.get_study_id_from_name(study.study_name)
        self._clock = SystemClock()
        self._dists = {p.name: spaces.distribution(p) for p in config.space.params}
        self._always = {p.name: self._dists[p.name] for p in config.space.params if not p.when}
        self._branches = [p for p in config.space.params if p.when]
        self._running: dict[int, _Running] = {}
        trials = self._trials()
        self._queued = sum(t.state is TrialState.WAITING for t in trials)
        self._grid = self._open_grid(trials)
        self.first_number = sum(WARM_START in t.user_attrs for t in trials)
        self.ask_cost_s = 0.0

    @classmethod
    def open(
        cls, config: SweepConfig, *, journal: Path, name: str, create: bool | None
    ) -> SweepStudy:
        """Open the study `name` in `config.storage`, or without one in the file `journal`.

        create: True begins it, with the trials of `config.warm_start` (it and they are in the
        journal, or nothing is) and then the points of `config.enqueue`; False goes on with it, in
        a space that may have changed except in choices, types and scales; None finishes a
        beginning that a crash cut short at any point.
        Raises ConfigError for a configuration that cannot be searched, StateError for a study
        that is there already, or is not, or is damaged, or in use.
        """
        quiet_optuna()
        tools = {"sampler": build_sampler(config), "pruner": build_pruner(config)}
        dists = {p.name: spaces.distribution(p) for p in config.space.params}
        points = [spaces.check_point(config.space, point) for point in config.enqueue]
        storage = open_storage(config.storage, journal, create=create is not False)
        try:
            with storage.guard():
                if create is None:
                    fresh = name not in optuna.get_all_study_names(storage.optuna)
                else:
                    fresh = create
                earlier = inherited(config, dists) if fresh else []
                begin = _begin if fresh else _go_on
                with storage.one_write():
                    study = begin(config, storage, name, tools)
                    study.add_trials(earlier)
                sweep = cls(config, study, storage)
                for point in points if create is not False else []:
                    sweep.enqueue(point)
                spaces.check_unchanged(dists, sweep._trials())
        except BaseException:
            storage.close()
            raise
        return sweep

    @property
    def torn_bytes(self) -> int:
        """Length of an unfinished last line that the journal was found with."""
        return self._storage.journal.torn_bytes if self._storage.journal else 0

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left to ask for: a grid of which every point was proposed."""
        return self._grid is not None and not self._queued and self._grid.exhausted

    def enqueue(self, params: Mapping[str, JsonScalar]) -> None:
        """Have a point tried before anything a sampler proposes; open parameters are sampled.

        A point that is in the study already is not added again. Raises ConfigError where it
        does not fit the space.
        """
        point = spaces.check_point(self._config.space, params)
        if any(_asked_for(trial) == point for trial in self._trials()):
            return
        self._enqueue(point, "enqueued")

    def ask(self, *, visible: int | None = None) -> Proposal:
        """Return the next trial to run: enqueued points first, in order.

        visible: for a reproducible sweep, the number such that exactly the trials below it have
        been told; this trial's pruning will know those and no others, for ever.
        The journal has all of the trial or nothing. Raises StateError once `exhausted`.
        """
        if self.exhausted:
            raise StateError("every point of the grid has been proposed")
        started = self._clock.monotonic()
        with self._storage.guard(), self._storage.one_write():
            trial = self._ask()
            if self._config.reproducible and visible is not None:
                trial.set_user_attr(_VISIBLE, visible)
            proposal = self._admit(trial, self._frozen(trial.number))
        spent = self._clock.monotonic() - started
        weight = _SMOOTHING if self.ask_cost_s else 1.0
        self.ask_cost_s += weight * (spent - self.ask_cost_s)
        return proposal

    def report(self, number: int, step: int, value: float) -> None:
        """Note an intermediate value.

        Ignored: a step that was reported before, a trial that ended or was found to be pruned,
        a study with several objectives (Optuna knows no intermediate values there).
        """
        with self._storage.guard():
            running = self._lookup(number)
            if running is None or running.pruned or step in running.steps:
                return
            running.handle.report(value, step)
            running.steps.add(step)

    def should_prune(self, number: int) -> bool:
        """Say whether to stop the trial now; once True it stays so."""
        with self._storage.guard():
            running = self._lookup(number)
            if running is None:
                return False
            if not running.pruned and running.steps and running.handle.should_prune():
                running.handle.set_user_attr(_PRUNED_AT, max(running.steps))
                running.pruned = True
            return running.pruned

    def tell(
        self,
        number: int,
        state: Literal["completed", "pruned", "failed"],
        values: Sequence[float] = (),
    ) -> bool:
        """Finish a trial; return False, changing nothing, where it was finished before.

        values: one for each objective where `state` is "completed", else ignored.
        """
        with self._storage.guard():
            if self._frozen(number).state.is_finished():
                return False
            told = [float(value) for value in values] if state == "completed" else None
            self._study.tell(number, told, state=_ENDINGS[state])
        self._running.pop(number, None)
        return True

    def known_trials(self) -> list[KnownTrial]:
        """Return this run's own trials that were asked for, by number; changes nothing."""
        with self._storage.guard():
            trials = self._trials()
        return [self._known(t) for t in trials if t.state in _STATES and _own(t)]

    def importances(self) -> dict[str, float]:
        """Return how much each parameter matters for the first objective, most first.

        Empty where too little is known to say.
        """
        first = None if len(self._config.directions) == 1 else (lambda t: t.values[0])
        with self._storage.guard(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return param_importances(self._study, first)
            except (ValueError, RuntimeError):
                return {}

    def pareto(self) -> list[int]:
        """Return the numbers of this run's trials that no other trial beats in all objectives."""
        with self._storage.guard():
            return sorted(t.number for t in self._study.best_trials if _own(t))

    def barrier(self) -> None:
        """Return once all that was asked, reported and told is on disk."""
        self._storage.barrier()

    def close(self) -> None:
        """Make everything durable and give up the storage; idempotent."""
        self._storage.close()

    def _ask(self) -> Trial:
        """Create a trial and let the sampler choose; a trial whose sampler failed is told FAIL."""
        if self._grid and not self._queued:
            self._enqueue(self._grid.take(), "grid")
        with self._no_orphan():
            trial = self._study.ask(self._always)
            for param in self._branches:
                if self._config.space.is_active(param, trial.params):
                    spaces.suggest(trial, param, self._dists[param.name])
        return trial

    def _admit(self, trial: Trial, frozen: FrozenTrial) -> Proposal:
        """Note a trial that was asked for; return what the scheduler is to know of it."""
        self._running[trial.number] = self._attach(trial, frozen)
        params = spaces.plain_point(self._config.space, frozen.params)
        source = frozen.user_attrs.get(_SOURCE)
        if source is not None:
            self._queued -= 1
        if self._grid:
            self._grid.mark(params)
        return Proposal(
            number=trial.number,
            params={**params, **dict(self._config.space.fixed)},
            source="enqueued" if source == "enqueued" else "sampler",
        )

    @contextmanager
    def _no_orphan(self) -> Iterator[None]:
        try:
            yield
        except (OSError, StorageInternalError, HpoError):
            raise
        except Exception as error:
            for trial in self._trials():
                if trial.state is TrialState.RUNNING and not self._is_complete(trial):
                    self._study.tell(trial.number, state=TrialState.FAIL)
            raise HpoError(
                f"sampler {self._config.sampler.name} failed: {type(error).__name__}: {error}",
                hint="check sampler.options, or choose another sampler and resume the run",
            ) from error

    def _attach(self, trial: Trial, frozen: FrozenTrial) -> _Running:
        """Return the trial with the pruner's view of the study that it was asked with."""
        attrs = frozen.user_attrs
        handle = trial
        if _VISIBLE in attrs:
            storage = told_before(self._storage.optuna, attrs[_VISIBLE])
            view = optuna.load_study(
                study_name=self._study.study_name,
                storage=storage,
                sampler=self._study.sampler,
                pruner=self._study.pruner,
            )
            handle = Trial(view, self._trial_id(trial.number))
        steps = set(frozen.intermediate_values)
        return _Running(handle=handle, steps=steps, pruned=_PRUNED_AT in attrs)

    def _lookup(self, number: int) -> _Running | None:
        """Return the handle of a running trial, rebuilt where an earlier process asked for it."""
        if len(self._config.directions) > 1:
            return None
        if number not in self._running:
            frozen = self._frozen(number)
            if frozen.state is not TrialState.RUNNING:
                return None
            self._running[number] = self._attach(Trial(self._study, self._trial_id(number)), frozen)
        return self._running[number]

    def _trials(self) -> list[FrozenTrial]:
        return self._storage.optuna.get_all_trials(self._study_id, deepcopy=False)

    def _trial_id(self, number: int) -> int:
        return self._storage.optuna.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _frozen(self, number: int) -> FrozenTrial:
        return self._storage.optuna.get_trial(self._trial_id(number))

    def _enqueue(self, point: Mapping[str, JsonScalar], source: str) -> None:
        with self._storage.guard():
            self._study.enqueue_trial(dict(point), user_attrs={_SOURCE: source})
        self._queued += 1

    def _open_grid(self, trials: Sequence[FrozenTrial]) -> Grid | None:
        if self._config.sampler.name != "grid":
            return None
        space = self._config.space
        return Grid(self._config, [spaces.plain_point(space, t.params) for t in trials])

    def _is_complete(self, trial: FrozenTrial) -> bool:
        return spaces.is_complete(self._config.space, trial.params)

    def _params(self, params: Mapping[str, JsonScalar]) -> dict[str, JsonScalar]:
        space = self._config.space
        return {**spaces.plain_point(space, params), **dict(space.fixed)}

    def _known(self, trial: FrozenTrial) -> KnownTrial:
        return KnownTrial(
            number=trial.number,
            state=_STATES[trial.state],
            params=self._params(trial.params),
            values=tuple(trial.values) if trial.state is TrialState.COMPLETE else (),
            complete=self._is_complete(trial),
        )


def _begin(
    config: SweepConfig, storage: StudyStorage, name: str, tools: Mapping[str, Any]
) -> optuna.Study:
    if name in optuna.get_all_study_names(storage.optuna):
        raise StateError(
            f"{storage.label} already has a study {name!r}",
            hint=f"go on with it: hpo resume {name}, or choose another run_name",
        )
    study = optuna.create_study(
        study_name=name,
        storage=storage.optuna,
        directions=list(config.directions),
        **tools,
    )
    study.set_user_attr("objectives", list(config.objectives))
    study.set_user_attr("fixed", dict(config.space.fixed))
    return study


def _go_on(
    config: SweepConfig, storage: StudyStorage, name: str, tools: Mapping[str, Any]
) -> optuna.Study:
    if name not in optuna.get_all_study_names(storage.optuna):
        raise StateError(f"{storage.label} has no study {name!r}")
    study = optuna.load_study(study_name=name, storage=storage.optuna, **tools)
    directions = tuple(direction.name.lower() for direction in study.directions)
    if directions != config.directions:
        raise ConfigError(
            f"the run began with the directions {', '.join(directions)} and cannot change to "
            f"{', '.join(config.directions)}"
        )
    return study


def _own(trial: FrozenTrial) -> bool:
    return WARM_START not in trial.user_attrs


def _asked_for(trial: FrozenTrial) -> Mapping[str, JsonScalar]:
    """Return what a trial was enqueued with, or else its parameters."""
    asked: Mapping[str, JsonScalar] = trial.system_attrs.get("fixed_params", trial.params)
    return asked
