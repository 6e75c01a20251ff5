"""What the scheduler remembers of each trial it has in hand, and the messages of its inbox."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpocli.config import SweepConfig
from hpocli.spi import JsonScalar, Report, TrialRequest, TrialResult
from hpocli.state import TrialView


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt's future is done."""

    key: str
    future: Future[TrialResult]


@dataclass(frozen=True, slots=True)
class Stop:
    """Someone asks for the end: a signal (by name). The second one ends at once."""

    signal: str


Message = Report | Ended | Stop
TrialDir = Callable[[int], Path]


@dataclass(slots=True)
class Flight:
    """A trial in hand: waiting for a slot, or in flight. Times are monotonic seconds."""

    number: int
    params: Mapping[str, JsonScalar]
    seed: int
    attempt: int = -1
    key: str = ""
    ref: str = ""
    epoch: int = 0
    not_before: float = 0.0
    submitted_at: float = 0.0
    deadline: float | None = None
    last_step: int = -1
    cancelling: str = ""
    refusals: int = 0
    retries: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, view: TrialView) -> Flight:
        """Take up a trial where the log left it."""
        return cls(
            number=view.number,
            params=view.params,
            seed=view.seed,
            attempt=view.attempt,
            key=view.key,
            ref=view.ref,
            cancelling=view.cancelling,
            retries=dict(view.retries),
        )


class Waiting:
    """Trials that wait for a slot: lowest number first, each no sooner than its `not_before`."""

    def __init__(self) -> None:
        self._ready: list[tuple[int, Flight]] = []
        self._later: list[tuple[float, int, Flight]] = []

    def __len__(self) -> int:
        return len(self._ready) + len(self._later)

    def add(self, flight: Flight) -> None:
        """Put a trial in (or back)."""
        heapq.heappush(self._later, (flight.not_before, flight.number, flight))

    def take(self, now: float) -> Flight | None:
        """Take the next trial that may start at `now`."""
        while self._later and self._later[0][0] <= now:
            _, number, flight = heapq.heappop(self._later)
            heapq.heappush(self._ready, (number, flight))
        return heapq.heappop(self._ready)[1] if self._ready else None

    def next_at(self) -> float | None:
        """Return when the next trial becomes ready, or None where none waits for a time."""
        return self._later[0][0] if self._later else None

    def clear(self) -> list[Flight]:
        """Take all of them out, in order of number."""
        found = [f for _, f in self._ready] + [f for _, _, f in self._later]
        self._ready, self._later = [], []
        return sorted(found, key=lambda flight: flight.number)


class RequestFactory:
    """Builds the request of each attempt from the configuration; the same on every executor."""

    def __init__(self, config: SweepConfig, uid: str, trial_dir: TrialDir) -> None:
        self._config = config
        self._uid = uid
        self._trial_dir = trial_dir
        self._settings = trial_settings(config)
        self._contest = (
            config.trainer.kind == "builtin"
            and config.mode == "simple"
            and len(config.objectives) == 1
        )

    def key(self, number: int, attempt: int) -> str:
        """Return the attempt's key, unique for ever."""
        return f"{self._uid}/{number}/{attempt}"

    def request(self, flight: Flight, best: float | None = None) -> TrialRequest:
        """Return the request for the flight's current attempt.

        best: the best value told so far. A built-in trainer gets it as `beat`, and spares itself
        the files of a model that cannot be the best.
        """
        settings = self._settings
        if self._contest and best is not None:
            settings = settings | {"beat": best}
        return TrialRequest(
            key=flight.key,
            sweep_uid=self._uid,
            trial=flight.number,
            attempt=flight.attempt,
            trainer=self._config.trainer,
            params=dict(flight.params),
            settings=settings,
            objectives=self._config.objectives,
            seed=flight.seed,
            deadline_s=self._config.trial_timeout_s,
            workdir=self._trial_dir(flight.number),
        )


def trial_settings(config: SweepConfig) -> dict[str, Any]:
    """Return what the trainer is told beside the parameters; JSON values only.

    A built-in trainer also gets the sweep's own keys (dataset, epochs, split, mode, what to save);
    a function or command gets its `settings` as they are, and the dataset where one is named.
    """
    settings = dict(config.settings)
    if config.trainer.kind != "builtin":
        return settings if config.dataset is None else {"dataset": config.dataset, **settings}
    return settings | {
        "dataset": config.dataset,
        "max_epochs": config.max_epochs_per_trial,
        "min_epochs": config.min_epochs_per_trial,
        "validation_split": config.validation_split,
        "mode": config.mode,
        "save_model": config.save_best_model,
        "plots": config.plot_generation,
    }
