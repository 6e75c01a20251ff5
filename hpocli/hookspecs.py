"""The hooks a plugin may implement. Plugins return data; hpocli does the wiring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy
import typer

from hpocli.spi import ExecutorSpec, TrainerSpec

if TYPE_CHECKING:  # `hpo --help` does not need the events
    from hpocli.events import Record

hookspec = pluggy.HookspecMarker("hpocli")


@hookspec
def hpo_register_executors() -> Sequence[ExecutorSpec]:  # type: ignore[empty-body]  # a spec
    """Return the executors this plugin offers; each becomes `hpo run <name>`."""


@hookspec
def hpo_register_trainers() -> Sequence[TrainerSpec]:  # type: ignore[empty-body]  # a spec
    """Return the trainers this plugin's workers know, with their built-in search spaces."""


@hookspec
def hpo_register_commands(app: typer.Typer) -> None:
    """Add sub-commands to `app`; a command whose name is taken is refused."""


@hookspec
def hpo_on_event(event: Record) -> None:
    """See every event of a running sweep, in order, on the scheduler's thread: return fast.

    An exception is logged once per plugin and never reaches the sweep.
    """
