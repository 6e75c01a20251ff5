"""The sweep's configuration: one frozen, validated object, resolved once at the edge."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hpocli.space import SearchSpace
from hpocli.spi import JsonScalar, TrainerRef


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False
    )


class SamplerConfig(_Frozen):
    """Which sampler proposes, with Optuna's own option names in `options`."""

    name: Literal["tpe", "random", "grid", "qmc", "cmaes", "nsga2", "gp"] = "tpe"
    options: dict[str, Any] = Field(default_factory=dict)


class PrunerConfig(_Frozen):
    """Which pruner stops bad trials early, with Optuna's own option names in `options`."""

    name: Literal[
        "none", "median", "percentile", "asha", "hyperband", "patient", "wilcoxon", "threshold"
    ] = "median"
    options: dict[str, Any] = Field(default_factory=dict)


class RetryConfig(_Frozen):
    """How often an attempt of each failure class is tried again."""

    lost: int = Field(default=2, ge=0, le=20)
    oom: int = Field(default=0, ge=0, le=5)


class SweepConfig(_Frozen):
    """Everything a sweep needs; written resolved to `sweep.yaml` in the run folder."""

    # what trains
    trainer: TrainerRef
    dataset: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    max_epochs_per_trial: int = 20
    min_epochs_per_trial: int = 5
    validation_split: float = 0.2
    trust: tuple[str, ...] = ()
    # what is optimised
    objectives: tuple[str, ...] = ("value",)
    directions: tuple[Literal["maximize", "minimize"], ...] = ("maximize",)
    mode: Literal["simple", "health"] = "simple"
    health_weight: float = 0.2
    # how it is searched
    space: SearchSpace = SearchSpace()
    sampler: SamplerConfig = SamplerConfig()
    pruner: PrunerConfig = PrunerConfig()
    enqueue: tuple[dict[str, JsonScalar], ...] = ()
    warm_start: tuple[str, ...] = ()
    seed: int = 0
    # how much, how fast
    trials: int = 20
    concurrent_workers: int = 2
    reproducible: bool = False
    look_ahead: int = 4
    timeout_s: float | None = None
    trial_timeout_s: float | None = None
    # what failures do
    retries: RetryConfig = RetryConfig()
    max_failures: int | None = None
    max_identical_failures: int = 3
    on_interrupt: Literal["drain", "cancel", "detach"] = "drain"
    # where results go
    run_name: str
    runs_dir: str = "runs"
    storage: str | None = None
    save_best_model: bool = True
    plot_generation: Literal["none", "best", "all"] = "best"
    # the executor and its own options
    executor: str = "local"
    executor_options: dict[str, Any] = Field(default_factory=dict)
