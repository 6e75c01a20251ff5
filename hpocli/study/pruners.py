"""Which pruner stops bad trials early, with defaults for trials that run side by side."""

from __future__ import annotations

from typing import Any

import optuna
from pydantic import ValidationError

from hpocli.config import PrunerConfig, SweepConfig
from hpocli.errors import ConfigError
from hpocli.study.options import construct, need

_CLASSES: dict[str, type[optuna.pruners.BasePruner]] = {
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "percentile": optuna.pruners.PercentilePruner,
    "asha": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "patient": optuna.pruners.PatientPruner,
    "wilcoxon": optuna.pruners.WilcoxonPruner,
    "threshold": optuna.pruners.ThresholdPruner,
}


def build_pruner(config: SweepConfig) -> optuna.pruners.BasePruner:
    """Return the configured pruner; raises ConfigError for options that do not fit.

    A sweep with several objectives has no pruning: Optuna knows none.
    """
    pruner = _build(config, config.pruner)
    return pruner if len(config.directions) == 1 else optuna.pruners.NopPruner()


def _build(config: SweepConfig, chosen: PrunerConfig) -> optuna.pruners.BasePruner:
    what = f"pruner {chosen.name}"
    if chosen.name == "wilcoxon":
        need("scipy", "samplers", what)
    options = {**_defaults(config, chosen.name), **chosen.options}
    if chosen.name == "patient":
        options["wrapped_pruner"] = _wrapped(config, options["wrapped_pruner"])
    made: optuna.pruners.BasePruner = construct(_CLASSES[chosen.name], options, what)
    return made


def _defaults(config: SweepConfig, name: str) -> dict[str, Any]:
    """Return our defaults. A built-in trainer's steps are epochs, so its least epochs are free.

    Steps count from 0: the last step of the first `min_epochs_per_trial` epochs is the first at
    which a trial may be stopped. `asha` and `hyperband` get numbers instead of "auto", which
    would let the whole first wave of parallel trials run to its end.
    """
    free = config.min_epochs_per_trial - 1 if config.trainer.kind == "builtin" else 0
    early = {"n_startup_trials": 5, "n_warmup_steps": free}
    halving = {"min_resource": max(1, free), "reduction_factor": 3}
    longest = max(config.max_epochs_per_trial, halving["min_resource"])
    defaults: dict[str, dict[str, Any]] = {
        "median": early,
        "percentile": {"percentile": 75.0, **early},
        "asha": halving,
        "hyperband": {"max_resource": longest, **halving},
        "patient": {"wrapped_pruner": "median", "patience": 5},
        "threshold": {"n_warmup_steps": free},
    }
    return defaults.get(name, {})


def _wrapped(config: SweepConfig, given: Any) -> optuna.pruners.BasePruner | None:
    """Return the pruner inside `patient`: a name, a mapping of name and options, or null."""
    if given is None:
        return None
    form = {"name": given} if isinstance(given, str) else given
    try:
        options = {k: v for k, v in dict(form).items() if k != "name"}
        inner = PrunerConfig(name=form["name"], options=options)
    except (ValidationError, KeyError, TypeError, ValueError):
        raise ConfigError(
            "pruner patient: 'wrapped_pruner' must be a pruner's name, or its name and options",
            hint="wrapped_pruner: {name: asha, reduction_factor: 4}",
        ) from None
    return _build(config, inner)
