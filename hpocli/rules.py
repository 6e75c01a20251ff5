"""What must hold between keys: impossible combinations are refused before anything starts."""

from __future__ import annotations

import importlib.util
import math
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpocli.config import SweepConfig
from hpocli.errors import ConfigError
from hpocli.layers import Merged
from hpocli.space import CategoricalParam, PointError
from hpocli.spi import JsonScalar, TrainerSpec
from hpocli.wording import nearest

MOST_GRID_POINTS = 1_000_000
_PACKAGES = {
    "qmc": ("samplers", ("scipy",)),
    "cmaes": ("samplers", ("cmaes",)),
    "gp": ("gp", ("torch", "scipy")),
    "wilcoxon": ("samplers", ("scipy",)),
}
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@")


def check_rules(
    merged: Merged, config: SweepConfig, builtin: TrainerSpec | None, *, here: bool
) -> SweepConfig:
    """Return `config` with its enqueued points in the parameters' own types.

    here: the trials run on this machine, so that it must have the command's program.
    Raises ConfigError for anything that could not work.
    """
    for rule in (_epochs, _order, _pruner, _packages, _sampler, _finite, _grid, _places):
        rule(merged, config)
    _dataset(merged, config, builtin)
    _space(merged, config)
    _command(merged, config)
    _own_options(merged, config)
    _health(merged, config)
    if here:
        _program(merged, config)
    return config.model_copy(update={"enqueue": _points(merged, config)})


def _epochs(merged: Merged, config: SweepConfig) -> None:
    low, high = config.min_epochs_per_trial, config.max_epochs_per_trial
    if low > high:
        raise merged.error(
            ("min_epochs_per_trial",), f"is {low}, above max_epochs_per_trial, which is {high}"
        )


def _order(merged: Merged, config: SweepConfig) -> None:
    workers, ahead = config.concurrent_workers, config.look_ahead
    if config.reproducible and workers > ahead:
        raise merged.error(
            ("concurrent_workers",),
            f"is {workers}, and reproducible needs a look_ahead of at least that, not {ahead}",
            hint=f"look_ahead: {workers}, or concurrent_workers: {ahead}",
        )


def _pruner(merged: Merged, config: SweepConfig) -> None:
    if len(config.objectives) > 1 and config.pruner.name != "none":
        raise merged.error(
            ("pruner",),
            f"is {config.pruner.name}, and a sweep with several objectives cannot be pruned",
            hint="pruner: none",
        )


def _packages(merged: Merged, config: SweepConfig) -> None:
    for key, name in (("sampler", config.sampler.name), ("pruner", config.pruner.name)):
        extra, modules = _PACKAGES.get(name, ("", ()))
        for module in modules:
            if importlib.util.find_spec(module) is None:
                raise merged.error(
                    (key,),
                    f"is {name}, which needs the package {module}, and that is not installed",
                    hint=f"pip install 'hpocli[{extra}]'",
                )


def _sampler(merged: Merged, config: SweepConfig) -> None:
    if config.sampler.name != "cmaes":
        return
    if len(config.objectives) > 1:
        raise merged.error(("sampler",), "is cmaes, which takes one objective only")
    if all(isinstance(param, CategoricalParam) for param in config.space.params):
        raise merged.error(
            ("sampler",), "is cmaes, which searches numbers, and the space has only choices"
        )


def _grid(merged: Merged, config: SweepConfig) -> None:
    if config.sampler.name != "grid":
        return
    given = config.sampler.options.get("search_space") or {}
    counts = (
        {name: len(values) for name, values in given.items() if isinstance(values, list)}
        if isinstance(given, dict)
        else {}
    )
    for param in config.space.params:
        step = getattr(param, "step", 1)
        if step is None and param.name not in counts:
            raise merged.error(
                ("space", param.name),
                "is continuous, and a grid has no end of its values",
                hint="give it a step or a list of values, or use another sampler",
            )
    size = config.space.grid_size(counts, limit=MOST_GRID_POINTS)
    if size is None or size > MOST_GRID_POINTS:
        raise merged.error(
            ("sampler",),
            f"is grid, and the space has more than {MOST_GRID_POINTS:,} points",
            hint="narrow the space, or use sampler: random",
        )


def _places(merged: Merged, config: SweepConfig) -> None:
    if config.storage is not None and "://" not in config.storage:
        raise merged.error(("storage",), "must be an Optuna storage URL, e.g. sqlite:///study.db")
    if config.storage is not None and _PASSWORD.search(config.storage):
        raise merged.error(
            ("storage",),
            "holds a password, and the run folder would keep it",
            hint="leave it out of the URL: PGPASSWORD or ~/.pgpass (MySQL: ~/.my.cnf)",
        )
    if config.run_name == "latest":
        raise merged.error(("run_name",), "is 'latest', which stands for the newest run")


def _finite(merged: Merged, config: SweepConfig) -> None:
    """Refuse numbers that no JSON can carry to a worker or into the log."""

    def check(path: tuple[str | int, ...], value: Any) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                check((*path, name), inner)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                check((*path, index), inner)
        elif isinstance(value, float) and not math.isfinite(value):
            raise merged.error(path, f"must be a finite number, not {value!r}")

    check(("settings",), config.settings)
    check(("sampler",), config.sampler.options)
    check(("pruner",), config.pruner.options)


def _dataset(merged: Merged, config: SweepConfig, builtin: TrainerSpec | None) -> None:
    name = config.dataset
    if builtin is None or not builtin.datasets or (name is not None and "/" in name):
        return
    known = ", ".join(builtin.datasets)
    if name is None:
        raise ConfigError(
            f"dataset is not given; {builtin.name} knows {known}, an .npz file or an image folder",
            hint=f"dataset={builtin.datasets[0]}",
        )
    if name not in builtin.datasets:
        raise merged.error(
            ("dataset",),
            f"names {name!r}; {builtin.name} knows {known}, an .npz file or an image folder",
            hint=nearest(name, builtin.datasets) or f"a folder: dataset: ./{name}",
        )


def _space(merged: Merged, config: SweepConfig) -> None:
    if not config.space.params and not config.space.fixed:
        key = "command" if config.trainer.kind == "command" else "trainer"
        owner = merged.owner(("space",)) or merged.owner((key,))
        place = f"{owner.label}: " if owner else ""
        raise ConfigError(
            f"{place}space is empty: nothing says what to search",
            hint="declare every parameter, also those that an Optuna objective suggests: "
            "space: {x: {type: float, low: 0, high: 1}}",
        )


def _command(merged: Merged, config: SweepConfig) -> None:
    conditional = {param.name for param in config.space.params if param.when}
    known = {"seed", "number", "workdir", *config.space.names()}
    known |= {f"params.{name}" for name in config.space.names()}
    known |= set(_dotted("settings", config.settings))
    for index, argument in enumerate(config.trainer.command):
        for match in _FIELD.finditer(argument):
            name = match.group(1)
            path = ("command", index)
            if name is not None and name not in known:
                raise merged.error(
                    path,
                    f"names {{{name}}}, which is neither a parameter, a setting nor "
                    "seed, number or workdir",
                    hint=nearest(name, known) or "a plain brace is written {{",
                )
            if name is not None and name.removeprefix("params.") in conditional:
                raise merged.error(
                    path,
                    f"names {{{name}}}, which not every trial has",
                    hint="read it from HPO_PARAMS in the program",
                )


def _program(merged: Merged, config: SweepConfig) -> None:
    """Refuse a program that this machine does not have; one with a placeholder is not known."""
    name = config.trainer.command[0] if config.trainer.command else ""
    if not name or "{" in name or "}" in name:
        return
    if "/" not in name:
        if shutil.which(name) is None:
            raise merged.error(
                ("command", 0), f"names {name!r}, which is not on the PATH", hint=f"./{name}?"
            )
        return
    folder = Path(*config.trainer.pythonpath[:1])
    if not os.path.isfile(folder / name):  # noqa: PTH113 - never raises, whatever the name
        raise merged.error(("command", 0), f"names {name!r}, which is not in {folder}")
    if not os.access(folder / name, os.X_OK):
        raise merged.error(
            ("command", 0), f"names {name!r}, which is not executable", hint=f"chmod +x {name}"
        )


def _health(merged: Merged, config: SweepConfig) -> None:
    if config.mode == "health" and config.trainer.kind != "builtin":
        raise merged.error(
            ("mode",),
            f"is health, and a {config.trainer.kind} measures no health",
            hint="leave mode out, and return what counts as an objective: optimize_for",
        )


def _dotted(prefix: str, values: Any) -> list[str]:
    found = []
    for name, value in values.items():
        found.append(f"{prefix}.{name}")
        if isinstance(value, dict):
            found += _dotted(f"{prefix}.{name}", value)
    return found


def _own_options(merged: Merged, config: SweepConfig) -> None:
    """Let Optuna's own constructors check sampler and pruner options; imports Optuna if needed."""
    if config.sampler.options:
        from hpocli.study.samplers import build_sampler  # noqa: PLC0415 - heavy, seldom needed

        _build(merged, config, "sampler", build_sampler)
    if config.pruner.options or config.pruner.name == "threshold":
        from hpocli.study.pruners import build_pruner  # noqa: PLC0415 - heavy, seldom needed

        _build(merged, config, "pruner", build_pruner)


def _build(
    merged: Merged, config: SweepConfig, key: str, build: Callable[[SweepConfig], Any]
) -> None:
    try:
        build(config)
    except ConfigError as error:
        options = getattr(config, key).options
        named = [name for name in options if repr(name) in error.message]
        raise _placed(merged, (key, *named[:1]), error) from None


def _placed(merged: Merged, path: tuple[str, ...], error: ConfigError) -> ConfigError:
    owner = merged.owner(path)
    place = f"{owner.where(path)}: " if owner else ""
    return ConfigError(f"{place}{error.message}", hint=error.hint)


def _points(merged: Merged, config: SweepConfig) -> tuple[dict[str, JsonScalar], ...]:
    found = []
    for index, point in enumerate(config.enqueue):
        try:
            found.append(config.space.validate_point(point))
        except PointError as error:
            raise merged.error(
                ("enqueue", index, error.name),
                str(error),
                hint=""
                if error.name in config.space.names()
                else nearest(error.name, config.space.names()),
            ) from None
    return tuple(found)
