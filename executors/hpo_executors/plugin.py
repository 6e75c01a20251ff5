"""What this distribution registers with the host: the built-in executors and trainers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hpo_executors.local.options import LOCAL
from hpo_handler.catalog import TRAINERS
from hpocli.spi import ExecutorSpec, ObjectiveSpec, TrainerSpec, hookimpl


@hookimpl
def hpo_register_executors() -> Sequence[ExecutorSpec]:
    """Return the executors that ship with hpocli."""
    return [LOCAL]


@hookimpl
def hpo_register_trainers() -> Sequence[TrainerSpec]:
    """Return the trainers that the trial process knows, from the plain data it publishes."""
    return [_trainer(description) for description in TRAINERS.values()]


def _trainer(description: Mapping[str, Any]) -> TrainerSpec:
    objectives = tuple(ObjectiveSpec(**each) for each in description["objectives"])
    return TrainerSpec(**{**description, "objectives": objectives})
