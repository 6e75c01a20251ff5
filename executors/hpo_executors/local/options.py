"""The local executor's options, and how it is described to the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from hpocli.spi import Executor, ExecutorContext, ExecutorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    """What a sweep may set for `hpo run local`; every default suits a laptop without a GPU."""

    threads_per_worker: Annotated[
        int, typer.Option(min=0, help="CPU threads per worker; 0 divides the cores between them.")
    ] = 0
    gpu: Annotated[
        bool, typer.Option(help="Give each worker one of this machine's GPUs, where there is one.")
    ] = False
    trials_per_worker: Annotated[
        int, typer.Option(min=1, help="Replace a trial process after so many trials.")
    ] = 50
    worker_memory_mb: Annotated[
        int, typer.Option(min=0, help="Memory a worker may use, in MiB; 0 sets no bound.")
    ] = 0
    stop_grace_s: Annotated[
        float, typer.Option(min=0.0, help="Seconds a trial gets to stop before it is killed.")
    ] = 5.0
    start_timeout_s: Annotated[
        float, typer.Option(min=1.0, help="Seconds a trial process may take to start.")
    ] = 120.0


def build(options: LocalOptions, context: ExecutorContext) -> Executor:
    """Return a local executor; no process starts before the first trial."""
    from hpo_executors.local.executor import LocalExecutor  # noqa: PLC0415 - keeps --help light

    return LocalExecutor(options, context)


LOCAL = ExecutorSpec(
    name="local",
    help="Run trials in warm processes on this machine.",
    options=LocalOptions,
    build=build,
)
