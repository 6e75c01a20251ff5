"""Lets an objective written for Optuna run unchanged: `trial.suggest_*`, `report`, `should_prune`.

The values were chosen before the trial began, by the sweep's `space:`; each `suggest_*` looks its
value up and checks it against the range that the code asks for. Optuna is not imported.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hpo_handler.context import TrialContext
from hpo_handler.failures import TrialError

T = TypeVar("T")


class OptunaStyleTrial:
    """What an Optuna objective takes as `trial`, and the trial context's own fields besides.

    Differences from Optuna: `params` holds all parameters from the start; `should_prune` is true
    once the sweep wants the trial ended; user attributes come back in the result's `info`; there
    is no `study`.
    """

    def __init__(self, context: TrialContext) -> None:
        self._context = context
        self.user_attrs: dict[str, Any] = {}
        self.system_attrs: dict[str, Any] = {}

    number = property(lambda self: self._context.number, doc="The trial's number, from 0.")
    seed = property(lambda self: self._context.seed, doc="In [0, 2**32), the same everywhere.")
    gpus = property(lambda self: self._context.gpus, doc="How many GPUs may be used.")

    @property
    def params(self) -> dict[str, Any]:
        """Return a copy of all parameters."""
        return dict(self._context.params)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Return the sweep's settings."""
        return self._context.settings

    @property
    def workdir(self) -> Path | None:
        """Return the trial's folder, or None."""
        return self._context.workdir

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return the float that was chosen for `name`."""
        asked = _range("float", low, high, step, log)
        number = self._number(name, asked)
        slack = 1e-9 * max(abs(low), abs(high))
        if not low - slack <= number <= high + slack or not _on_grid(number, low, step):
            raise _outside(name, number, asked)
        return float(number)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return the integer that was chosen for `name`."""
        asked = _range("int", low, high, None if step == 1 else step, log)
        number = self._number(name, asked)
        if not low <= number <= high or not _on_grid(number, low, step):
            raise _outside(name, number, asked)
        return int(number)

    def suggest_categorical(self, name: str, choices: Sequence[T]) -> T:
        """Return the choice that was made for `name`."""
        asked = f"[{', '.join(_yaml(choice) for choice in choices)}]"
        value = self._value(name, asked)
        for choice in choices:
            if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                return choice
        raise _outside(name, value, asked)

    def suggest_uniform(self, name: str, low: float, high: float) -> float:
        """Return the float, as Optuna's older spelling has it."""
        return self.suggest_float(name, low, high)

    def suggest_loguniform(self, name: str, low: float, high: float) -> float:
        """Return the float of a logarithmic range, in Optuna's older spelling."""
        return self.suggest_float(name, low, high, log=True)

    def suggest_discrete_uniform(self, name: str, low: float, high: float, q: float) -> float:
        """Return the float of a range in steps of `q`, in Optuna's older spelling."""
        return self.suggest_float(name, low, high, step=q)

    def report(self, value: float, step: int) -> None:
        """Report an intermediate value; as in Optuna, a step reported before is ignored."""
        if int(step) < 0:
            raise ValueError(f"trial.report(): step must not be negative, it is {step}")
        if int(step) <= self._context.last_step:
            text = f"trial.report(): step {step} is not after {self._context.last_step}; ignored\n"
            sys.stderr.write(text)
            return
        self._context.report(int(step), value)

    def should_prune(self) -> bool:
        """Say whether the sweep wants this trial ended: raise `optuna.TrialPruned`."""
        return self._context.should_stop()

    def should_stop(self) -> bool:
        """Say the same as `should_prune`."""
        return self._context.should_stop()

    def stage(self, name: str) -> None:
        """Say what the trial is doing now."""
        self._context.stage(name)

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep a value; it comes back in the result's `info` as `user.<key>`."""
        self.user_attrs[key] = value

    def set_system_attr(self, key: str, value: Any) -> None:
        """Keep a value for the length of the trial."""
        self.system_attrs[key] = value

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"trial.{name} is not available: the sweep owns the study, "
            "and a trial has suggest_*, report, should_prune, params, number and user_attrs"
        )

    def _number(self, name: str, asked: str) -> int | float:
        value = self._value(name, asked)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _outside(name, value, asked)
        return value

    def _value(self, name: str, asked: str) -> Any:
        if name not in self._context.params:
            raise TrialError(
                f"the objective asks for {name!r}, which this trial does not have; "
                f"add under `space:` the line `{name}: {asked}`"
            )
        return self._context.params[name]


def _outside(name: str, value: object, asked: str) -> TrialError:
    return TrialError(
        f"the sweep's `space:` gave {name} = {_yaml(value)}, outside the range that the objective "
        f"asks for; write `{name}: {asked}` under `space:`, or widen the range in the code",
        fingerprint=f"range of {name}",
    )


def _range(kind: str, low: float, high: float, step: float | None, log: bool) -> str:  # noqa: FBT001 - private
    parts = [f"type: {kind}", f"low: {low}", f"high: {high}"]
    parts += [f"step: {step}"] if step is not None else []
    parts += ["log: true"] if log else []
    return "{" + ", ".join(parts) + "}"


def _on_grid(number: float, low: float, step: float | None) -> bool:
    steps = (number - low) / step if step else 0.0
    return math.isclose(steps, round(steps), abs_tol=1e-6)


def _yaml(value: object) -> str:
    words = {True: "true", False: "false", None: "null"}
    if value is None or isinstance(value, bool):
        return words[value]
    return repr(value) if isinstance(value, str) else str(value)
