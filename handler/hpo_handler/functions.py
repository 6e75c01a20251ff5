"""Trainers that are Python callables: `package.module:function`, found and called.

Two calling styles. A function takes our `TrialContext` (`ctx.params`, `ctx.seed`,
`ctx.report(step, value)`, `ctx.should_stop()`), or it is an Optuna objective and takes a `trial`.
The setting `objective_style: optuna|context` decides; without it the annotation of the first
parameter does (`optuna.Trial`, `TrialContext`); without that its name: `trial` means Optuna.

The returned value is one number, a dict of metrics, or numbers in the order of the objectives.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import random
import sys
from collections.abc import Callable, Mapping
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any

from hpo_handler.context import JsonScalar, TrialContext
from hpo_handler.contract import Trainer
from hpo_handler.failures import TrialError
from hpo_handler.optuna_style import OptunaStyleTrial

STYLES = ("optuna", "context")


def run_function(trainer: Trainer, context: TrialContext, info: dict[str, JsonScalar]) -> object:
    """Import and call the trainer's function; return what it returned.

    `info` receives the user attributes of an Optuna-style trial, however the call ends.
    Raises TrialError where there is no such function, and whatever the function raises.
    """
    context.stage("importing")
    function = load_function(trainer.name, trainer.pythonpath)
    style = calling_style(function, context.settings)
    seed_generators(context.seed)
    context.stage("training")
    if style == "context":
        return function(context)
    trial = OptunaStyleTrial(context)
    try:
        return function(trial)
    finally:
        info |= {f"user.{key}": _scalar(value) for key, value in trial.user_attrs.items()}


def load_function(name: str, pythonpath: tuple[str, ...]) -> Callable[[Any], object]:
    """Return the callable `package.module:function`; `pythonpath` goes before all other paths.

    Raises TrialError where the name, module or function is wrong, and whatever the import raises.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise TrialError(f"{name!r} names no function; write `package.module:function`")
    sys.path[:0] = [path for path in pythonpath if path not in sys.path]
    found: Any = _import(module_name, pythonpath)
    for part in attribute.split("."):
        found = _attribute(found, part, module_name)
    if not callable(found):
        kind = type(found).__name__
        article = "an" if kind[0] in "aeiouAEIOU" else "a"
        raise TrialError(f"{name} is {article} {kind}, not a function")
    if inspect.iscoroutinefunction(found):
        raise TrialError(f"{name} is an async function; make it a plain one")
    function: Callable[[Any], object] = found
    return function


def calling_style(function: Callable[..., object], settings: Mapping[str, Any]) -> str:
    """Return `optuna` or `context`; see the module's own words. Raises TrialError."""
    asked = settings.get("objective_style")
    if asked is not None:
        if asked not in STYLES:
            raise TrialError(f"objective_style is {asked!r}; it must be optuna or context")
        return str(asked)
    first = _first_parameter(function)
    if first is None:
        return "context"
    annotation = first.annotation
    kind = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    kind = kind.strip("'\"").rpartition(".")[2]
    if kind == "TrialContext":
        return "context"
    return "optuna" if kind.endswith("Trial") or first.name == "trial" else "context"


def seed_generators(seed: int) -> None:
    """Seed Python's generator and, where it is installed, numpy's global one."""
    random.seed(seed)
    try:
        import numpy as np  # noqa: PLC0415 - optional and slow to import
    except ImportError:
        return
    np.random.seed(seed % 2**32)


def _import(name: str, pythonpath: tuple[str, ...]) -> ModuleType:
    top = name.partition(".")[0]
    ours = PathFinder.find_spec(top, list(pythonpath))
    loaded = sys.modules.get(top)
    if ours and ours.origin and loaded and getattr(loaded, "__file__", None) != ours.origin:
        raise TrialError(
            f"the module {top!r} in {ours.origin} has the name of one that Python has loaded "
            "already; give the file another name"
        )
    importlib.invalidate_caches()  # a file may be newer than the last look
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        where = ", ".join(pythonpath) or "Python's path"
        raise TrialError(f"there is no module {error.name!r} in {where}") from None


def _attribute(owner: object, name: str, module: str) -> object:
    try:
        return getattr(owner, name)
    except AttributeError:
        near = difflib.get_close_matches(name, [n for n in dir(owner) if n[0] != "_"], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise TrialError(f"module {module!r} has no function {name!r}{hint}") from None


def _first_parameter(function: Callable[..., object]) -> inspect.Parameter | None:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # built-in callables have no signature
        return None
    if not parameters:
        raise TrialError("the objective takes no argument; give it one, the trial context")
    return parameters[0]


def _scalar(value: object) -> JsonScalar:
    if value is None or isinstance(value, bool | int | str):
        return value if not isinstance(value, str) else value[:500]
    if isinstance(value, float) and value == value and abs(value) != float("inf"):  # noqa: PLR0124 - NaN
        return value
    return json.dumps(value, default=str)[:500]
