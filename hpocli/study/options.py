"""Optuna's constructors, called with options from a sweep file: every mistake one sentence."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import structlog
from optuna.exceptions import ExperimentalWarning

from hpocli.errors import ConfigError

_SIMPLE: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
}
_PLURAL = (str, int, float, bool, list, dict)


def construct(cls: type[Any], options: Mapping[str, Any], what: str) -> Any:
    """Return `cls(**options)`. `what` names it for people, e.g. "sampler tpe".

    Raises ConfigError for an unknown option, a wrong type, or what the class itself refuses.
    Optuna's warnings about deprecated options go to the log.
    """
    known = inspect.signature(cls).parameters
    for name, value in options.items():
        if name not in known:
            raise _unknown(what, name, list(known))
        _check_type(what, name, value, inspect.formatannotation(known[name].annotation).strip("'"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            made = cls(**options)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{what}: {str(error).rstrip('.')}") from None
    for warning in caught:
        if not issubclass(warning.category, ExperimentalWarning):
            structlog.get_logger(__name__).warning("optuna_warned", message=str(warning.message))
    return made


def need(module: str, extra: str, what: str) -> None:
    """Raise ConfigError, with what to install, where the module is not there."""
    if importlib.util.find_spec(module) is None:
        raise ConfigError(
            f"{what} needs the package {module}, which is not installed",
            hint=f"pip install 'hpocli[{extra}]'",
        )


def _unknown(what: str, name: str, known: list[str]) -> ConfigError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"its options are {', '.join(known)}"
    return ConfigError(f"{what} has no option {name!r}", hint=hint)


def _check_type(what: str, name: str, value: object, annotation: str) -> None:
    words = [word.strip() for word in annotation.split("|")]
    if value is None or not isinstance(value, _PLURAL):
        return
    allowed = tuple(kind for word in words for kind in _SIMPLE.get(word, ()))
    if not allowed and not any(word.startswith("dict") for word in words):
        raise ConfigError(f"{what}: option {name!r} takes a Python object, not a value of a file")
    wrong_bool = isinstance(value, bool) and bool not in allowed
    if allowed and (wrong_bool or not isinstance(value, allowed)):
        raise ConfigError(f"{what}: option {name!r} must be {annotation}, not {value!r}")
