"""From a sweep file, the environment, key=value and options to one `SweepConfig`, and back.

Lowest first: defaults, file, environment, key=value, options. Nothing is started, imported from
the user or sent anywhere; every problem is a ConfigError that names its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpocli.catalog import Catalog
from hpocli.conditions import SpaceError
from hpocli.config import PrunerConfig, RetryConfig, SamplerConfig, SweepConfig
from hpocli.errors import ConfigError
from hpocli.executoroptions import check_options, plain_options
from hpocli.layers import (
    Layer,
    Merged,
    assignment_layers,
    environment_layers,
    file_layer,
    merge,
    option_layers,
)
from hpocli.rules import check_rules
from hpocli.spacefile import build_space
from hpocli.storageurl import anchored
from hpocli.sweepdump import dump_mapping
from hpocli.sweepfile import Document, read_sweep_file
from hpocli.sweepform import SweepForm
from hpocli.sweepkeys import SWEEP_KEYS
from hpocli.trainers import (
    Objectives,
    check_param_names,
    choose_objectives,
    choose_settings,
    choose_trainer,
)
from hpocli.typeproblems import problem_hint, problem_text
from hpocli.wording import nearest


def load_config(
    *,
    executor: str,
    sweep_file: Path | None,
    assignments: Sequence[str],
    environ: Mapping[str, str],
    options: Mapping[str, Any],
    catalog: Catalog,
    cwd: Path,
) -> SweepConfig:
    """Resolve and check everything for `hpo run`.

    options: those given on the command line; None counts as not given. cwd: what relative paths
    in key=value and options start from (those in the file start from the file). A file that
    `dump_config` wrote is complete, as for `load_resolved`. Raises ConfigError.
    """
    layers: list[Layer] = []
    folder = cwd
    if sweep_file is not None:
        path = cwd / sweep_file
        layers.append(_file(read_sweep_file(path), sweep_file.name))
        folder = path.parent
    layers += environment_layers(environ, SWEEP_KEYS)
    layers += assignment_layers(assignments)
    if not layers:
        raise ConfigError(
            "no sweep file was given",
            hint=f"hpo init sweep.yaml writes one; then: hpo run {executor} sweep.yaml",
        )
    layers += option_layers(options)
    stem = sweep_file.stem if sweep_file is not None else None
    return _resolve(merge(layers), executor, catalog, folder=folder, cwd=cwd, stem=stem)


def load_resolved(
    path: Path, catalog: Catalog, overrides: Sequence[str] = (), *, look: bool = True
) -> SweepConfig:
    """Read back what `dump_config` wrote, with key=value `overrides` on top.

    The file is complete: no built-in space or setting is merged in, so a newer hpocli changes
    nothing. Without overrides the result equals what was dumped. look: whether the program and
    data that trials on this machine need must be there. Raises ConfigError.
    """
    document = read_sweep_file(path)
    executor = document.data.get("executor")
    if not isinstance(executor, str):
        raise ConfigError(f"{path.name}: not the sweep.yaml of a run: it names no executor")
    layers = [_file(document, path.name), *assignment_layers(overrides)]
    return _resolve(
        merge(layers), executor, catalog, folder=path.parent, cwd=Path(), stem=None, look=look
    )


def dump_config(config: SweepConfig) -> str:
    """Return the configuration as a sweep file that runs again and reads back equal."""
    return dump_mapping(_user_form(config))


def _file(document: Document, name: str) -> Layer:
    """Return the file as a layer, without the one key that the command decides."""
    layer = file_layer(document, name)
    return replace(layer, data={k: v for k, v in layer.data.items() if k != "executor"})


def _resolve(
    merged: Merged,
    executor: str,
    catalog: Catalog,
    *,
    folder: Path,
    cwd: Path,
    stem: str | None,
    look: bool = True,
) -> SweepConfig:
    spec = catalog.executors.get(executor)
    if spec is None:
        raise ConfigError(
            f"there is no executor {executor!r}; there is {', '.join(sorted(catalog.executors))}",
            hint=nearest(executor, catalog.executors),
        )
    here = look and executor == "local"
    executor_options = check_options(merged, spec, catalog)
    own = {k: v for k, v in merged.data.items() if k in SWEEP_KEYS and v is not None}
    form = _check_types(merged, own)
    trainer, builtin = choose_trainer(merged, form, catalog, folder=folder, cwd=cwd)
    objectives = choose_objectives(merged, form, builtin)
    defaults = None if form.complete else builtin
    check_param_names(merged, form, defaults)
    try:
        space = build_space(form.space, defaults.space if defaults is not None else {})
    except SpaceError as error:
        raise merged.error(("space", *error.path), str(error), hint=error.hint) from None
    config = SweepConfig(
        trainer=trainer,
        dataset=_dataset(merged, form.dataset, _base(merged, "dataset", folder, cwd), here=here),
        settings=choose_settings(merged, form, defaults),
        space=space,
        run_name=form.run_name or _base_name(stem or form.dataset or trainer.name),
        executor=executor,
        executor_options=executor_options,
        **_plain(merged, form, objectives)
        | {
            "storage": form.storage
            and anchored(form.storage, _base(merged, "storage", folder, cwd)),
            "warm_start": tuple(
                anchored(name, _base(merged, "warm_start", folder, cwd)) for name in form.warm_start
            ),
        },
    )
    return check_rules(merged, config, builtin, here=here)


def _check_types(merged: Merged, own: Mapping[str, Any]) -> SweepForm:
    try:
        return SweepForm.model_validate(own)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        path = tuple(problem["loc"])
        hint = problem_hint(problem, RetryConfig.model_fields)
        raise merged.error(path, problem_text(problem), hint=hint) from None


def _base(merged: Merged, key: str, folder: Path, cwd: Path) -> Path:
    """Return what relative paths of `key` start from: the file's folder, or where we are."""
    owner = merged.owner((key,))
    return folder if owner is None or owner.is_file else cwd


def _dataset(merged: Merged, dataset: str | None, base: Path, *, here: bool) -> str | None:
    """Return a path absolute and a name as it is.

    here: the trials run on this machine, so that an absolute path, too, must exist.
    """
    if dataset is None or not is_path(dataset) or (Path(dataset).is_absolute() and not here):
        return dataset
    path = base / dataset
    try:
        found = path.exists()
    except OSError:
        found = False
    if not found:
        where = "which does not exist" if Path(dataset).is_absolute() else f"which is not in {base}"
        raise merged.error(("dataset",), f"names {dataset!r}, {where}")
    return dataset if Path(dataset).is_absolute() else str(path.resolve())


def is_path(dataset: str) -> bool:
    """Say whether a dataset is a file or folder rather than a name."""
    return "/" in dataset or dataset.endswith(".npz") or dataset in (".", "..")


def _base_name(source: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).stem or source).strip("-.")[:80]
    return name or "sweep"


_SAME = (
    "max_epochs_per_trial",
    "validation_split",
    "mode",
    "health_weight",
    "seed",
    "trials",
    "concurrent_workers",
    "reproducible",
    "look_ahead",
    "max_failures",
    "max_identical_failures",
    "on_interrupt",
    "runs_dir",
    "save_best_model",
    "plot_generation",
)


def _plain(merged: Merged, form: SweepForm, objectives: Objectives) -> dict[str, Any]:
    """Return the fields that need little more than a new name."""
    low = form.min_epochs_per_trial
    if not merged.given("min_epochs_per_trial"):
        low = min(low, form.max_epochs_per_trial)
    pruner = form.pruner.name
    if len(objectives.names) > 1 and not merged.given("pruner"):
        pruner = "none"
    return {name: getattr(form, name) for name in _SAME} | {
        "objectives": objectives.names,
        "directions": objectives.directions,
        "min_epochs_per_trial": low,
        "trust": tuple(form.trust),
        "sampler": SamplerConfig(name=form.sampler.name, options=form.sampler.model_extra or {}),
        "pruner": PrunerConfig(name=pruner, options=form.pruner.model_extra or {}),
        "enqueue": tuple(form.enqueue),
        "timeout_s": form.timeout,
        "trial_timeout_s": form.trial_timeout,
        "retries": RetryConfig(lost=form.retries.lost, oom=form.retries.oom),
    }


def _user_form(config: SweepConfig) -> dict[str, Any]:
    """Return every key that is not None, in the order of docs/sweep-file.md."""
    command = config.trainer.kind == "command"
    form: dict[str, Any] = {
        "complete": True,
        "trainer": None if command else config.trainer.name,
        "command": list(config.trainer.command) if command else None,
        "pythonpath": list(config.trainer.pythonpath) or None,
        "optimize_for": list(config.objectives),
        "directions": list(config.directions),
        "space": config.space.to_user_form(),
        "sampler": {"name": config.sampler.name, **config.sampler.options},
        "pruner": {"name": config.pruner.name, **config.pruner.options},
        "timeout": config.timeout_s,
        "trial_timeout": config.trial_timeout_s,
        "retries": config.retries.model_dump(),
        "trust": list(config.trust),
        "enqueue": [dict(point) for point in config.enqueue],
        "warm_start": list(config.warm_start),
    }
    ordered = {
        key: form[key] if key in form else getattr(config, key, None)
        for key in SweepForm.model_fields
        if key != "direction"
    }
    ordered = {"executor": config.executor, **ordered, **plain_options(config.executor_options)}
    return {key: value for key, value in ordered.items() if value is not None}
