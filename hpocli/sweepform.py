"""The sweep file as people write it: every key, its type, default and meaning.

The JSON Schema (`hpo schema`), docs/sweep-file.md and the checks of types all come from here.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

SamplerName = Literal["tpe", "random", "grid", "qmc", "cmaes", "nsga2", "gp"]
PrunerName = Literal[
    "none", "median", "percentile", "asha", "hyperband", "patient", "wilcoxon", "threshold"
]
Direction = Literal["maximize", "minimize"]
SAMPLERS: tuple[str, ...] = get_args(SamplerName)
PRUNERS: tuple[str, ...] = get_args(PrunerName)
DEFAULT_TRAINER = "keras-image"
MAX_SECONDS = 10 * 365 * 86400.0

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?\Z")


def _seconds(value: object) -> object:
    """Read `90`, `90s`, `10m` or `1h30m` as seconds; raises ValueError."""
    if value is None:
        return None
    seconds = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and value and (match := _DURATION.match(value)):
        units = (86400.0, 3600.0, 60.0, 1.0)
        seconds = sum(float(n) * unit for n, unit in zip(match.groups(), units, strict=True) if n)
    if not 0.0 < seconds <= MAX_SECONDS:
        raise ValueError("must be a time above 0: seconds, or text such as 90s, 10m, 1h30m")
    return seconds


def _one_or_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


_TEXT_OR_LIST = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_DURATION_SCHEMA = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"^(?=.)(\d+d)?(\d+h)?(\d+m)?(\d+(\.\d+)?s)?$"},
        {"type": "null"},
    ]
}
Duration = Annotated[
    float | None, BeforeValidator(_seconds), WithJsonSchema(_DURATION_SCHEMA, mode="validation")
]
Names = Annotated[
    list[str], BeforeValidator(_one_or_list), WithJsonSchema(_TEXT_OR_LIST, mode="validation")
]


class NamedOptions(BaseModel):
    """A sampler or pruner: `name`, and its own options beside it."""

    model_config = ConfigDict(extra="allow", strict=True)


class SamplerForm(NamedOptions):
    """The long form of `sampler`."""

    name: SamplerName = "tpe"


class PrunerForm(NamedOptions):
    """The long form of `pruner`."""

    name: PrunerName = "median"


class RetriesForm(BaseModel):
    """How often an attempt is tried again."""

    model_config = ConfigDict(extra="forbid", strict=True)

    lost: int = Field(2, ge=0, le=20, description="Tries after a worker or its result was lost.")
    oom: int = Field(0, ge=0, le=5, description="Tries after running out of memory.")


class SweepForm(BaseModel):
    """A hyperparameter sweep."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, title="hpo sweep")

    trainer: str | None = Field(
        None,
        description="What trains: a registered trainer, or `package.module:function` beside the "
        f"sweep file. Without it and without `command`: {DEFAULT_TRAINER}.",
    )
    command: list[str] | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="A program to run instead of a trainer, one list item an argument; "
        "`{name}` stands for a parameter, and also for `{seed}`, `{number}`, `{workdir}`.",
    )
    pythonpath: list[str] | None = Field(
        None,
        description="Folders in which `module:function` is looked for and a command starts, "
        "relative to the sweep file. Without it: the sweep file's own folder.",
    )
    dataset: str | None = Field(
        None,
        description="The data to train on: a name the trainer knows, an `.npz` file, or a folder "
        "of images per class. Paths are relative to the sweep file.",
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="The trainer's own settings, by name."
    )
    trust: Names = Field(
        default_factory=list,
        description="Python packages outside the sweep file's folder that `trainer` may name.",
    )
    max_epochs_per_trial: int = Field(20, ge=1, le=1_000_000, description="Most epochs a trial.")
    min_epochs_per_trial: int = Field(
        5,
        ge=1,
        le=1_000_000,
        description="Fewest epochs a trial; where it is not given, at most max_epochs_per_trial.",
    )
    validation_split: float = Field(
        0.2, gt=0, lt=1, description="Share of the training data kept for validation."
    )
    optimize_for: Names | None = Field(
        None,
        description="What to optimize: one objective, or a list for a Pareto front. Without it: "
        "the trainer's first objective; `value` for a function or command.",
    )
    direction: Direction | None = Field(
        None,
        description="Which way is better. Built-in objectives know theirs; "
        "those of a function or command are maximized unless this says otherwise.",
    )
    directions: list[Direction] | None = Field(
        None, description="One direction for each objective of `optimize_for`."
    )
    mode: Literal["simple", "health"] = Field(
        "simple", description="`health` also weighs how healthy the training was."
    )
    health_weight: float = Field(
        0.2, ge=0, le=1, description="Share of the health score in the value, with mode: health."
    )
    space: dict[str, Any] = Field(
        default_factory=dict,
        description="The search space, one entry a parameter; merged onto a trainer's own space.",
    )
    sampler: SamplerForm = Field(
        default_factory=SamplerForm,
        description="Which sampler proposes: a name, or `{name: tpe, ...}` with its options.",
    )
    pruner: PrunerForm = Field(
        default_factory=PrunerForm,
        description="Which pruner stops bad trials early: a name, or `{name: median, ...}` with "
        "its options. Sweeps with several objectives are not pruned.",
    )
    enqueue: list[dict[str, Any]] = Field(
        default_factory=list, max_length=10_000, description="Points to try first."
    )
    warm_start: Names = Field(
        default_factory=list, description="Earlier runs whose trials the sampler learns from."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the sampler and of every trial.")
    trials: int = Field(20, ge=1, le=1_000_000, description="How many trials to run.")
    concurrent_workers: int = Field(2, ge=1, le=1000, description="Most trials at the same time.")
    reproducible: bool = Field(
        False,  # noqa: FBT003 - pydantic's default argument
        description="The same seed proposes the same trials, at some cost in idle time.",
    )
    look_ahead: int = Field(
        4, ge=1, le=1000, description="With reproducible: trials proposed before a result counts."
    )
    timeout: Duration = Field(
        None, description="Stop the sweep after this time: seconds, or `10m`, `1h30m`."
    )
    trial_timeout: Duration = Field(
        None, description="Stop one trial after this time: seconds, or `10m`, `1h30m`."
    )
    retries: RetriesForm = Field(
        default_factory=RetriesForm, description="How often an attempt is tried again, by failure."
    )
    max_failures: int | None = Field(
        None, ge=0, description="Stop the sweep after more failed trials than this."
    )
    max_identical_failures: int = Field(
        3, ge=1, description="Stop the sweep after this many equal failures in a row."
    )
    on_interrupt: Literal["drain", "cancel", "detach"] = Field(
        "drain", description="What Ctrl-C does with the trials that run."
    )
    run_name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$",
        description="Name of the run and its folder. Without it: made from the sweep file's name.",
    )
    runs_dir: str = Field("runs", min_length=1, description="Folder that holds all runs.")
    storage: str | None = Field(
        None, min_length=1, description="An Optuna storage URL, instead of a file in the run."
    )
    save_best_model: bool = Field(True, description="Keep the best model.")  # noqa: FBT003 - default
    plot_generation: Literal["none", "best", "all"] = Field(
        "best", description="Which plots to draw at the end."
    )
    executor: str | None = Field(
        None, description="Written by hpo into a run's own sweep.yaml; `hpo run` decides it."
    )
    complete: bool = Field(
        False,  # noqa: FBT003 - pydantic's default argument
        description="Written by hpo into a run's own sweep.yaml: `space` and `settings` are all "
        "there is, nothing built in is added.",
    )
