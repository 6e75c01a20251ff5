"""From the declared space to a `SearchSpace`: merging onto a built-in one, and every check.

Nothing here knows files: a problem is a `SpaceError` whose `path` says where inside `space:` it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hpocli.conditions import SpaceError, parents_first, settle
from hpocli.space import (
    CategoricalParam,
    Condition,
    FloatParam,
    IntParam,
    Param,
    SearchSpace,
)
from hpocli.spi import JsonScalar
from hpocli.sweepfile import KeyPath, unstorable
from hpocli.wording import describe, nearest

MAX_PARAMS = 300
MAX_CHOICES = 1000
MAX_TEXT = 500
MAX_INT = 2**53
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}\Z")
_FIELDS = {
    "float": ("type", "low", "high", "log", "step", "when"),
    "int": ("type", "low", "high", "log", "step", "when"),
    "categorical": ("type", "choices", "when"),
}
_ALL_FIELDS = ("type", "low", "high", "log", "step", "choices", "when")


def merge_param(base: Any, over: Any) -> Any:
    """Lay one parameter over another of the same name.

    A mapping changes the fields it names; one with another `type`, or `choices` over a range,
    replaces all. A list or a plain value replaces what is searched and keeps the condition.
    """
    whole = _as_mapping(base)
    if not isinstance(over, Mapping):
        kept = {"when": whole["when"]} if whole.get("when") else {}
        return {**_as_mapping(over), **kept} if kept else over
    other_type = over.get("type", whole.get("type")) != whole.get("type")
    to_choices = "choices" in over and whole.get("type") != "categorical"
    to_range = {"low", "high"} & set(over) and whole.get("type") == "categorical"
    kept = {"when": whole["when"]} if whole.get("when") else {}
    return {**kept, **over} if other_type or to_choices or to_range else {**whole, **over}


def _as_mapping(form: Any) -> dict[str, Any]:
    if isinstance(form, Mapping):
        return dict(form)
    choices = list(form) if isinstance(form, list | tuple) else [form]
    return {"type": "categorical", "choices": choices}


def build_space(declared: Mapping[str, Any], builtin: Mapping[str, Any]) -> SearchSpace:
    """Merge `declared` onto `builtin`, check everything and return the space.

    Conditions on a fixed parameter are decided here: the parameter is kept or left out. Raises
    SpaceError.
    """
    merged = dict(builtin)
    for name, form in declared.items():
        _check_name(name)
        merged[name] = merge_param(builtin[name], form) if name in builtin else form
    if len(merged) > MAX_PARAMS:
        raise SpaceError((), f"has {len(merged)} parameters; at most {MAX_PARAMS} are searched")
    params = [_parse(name, form) for name, form in merged.items()]
    own = {n for n, form in declared.items() if isinstance(form, Mapping) and form.get("when")}
    return settle(parents_first(params), strict=own)


def _check_name(name: str) -> None:
    if not _NAME.match(name):
        raise SpaceError(
            (name,),
            "is no name for a parameter: up to 100 letters, digits, '_', '.', '-', a letter first",
        )


def _parse(name: str, form: Any) -> Param:
    """Read one parameter in its long or short form."""
    if isinstance(form, Mapping):
        return _parse_mapping(name, form)
    whole = _as_mapping(form)
    return CategoricalParam(name=name, choices=_choices(whole["choices"], (name,)))


def _parse_mapping(name: str, form: Mapping[str, Any]) -> Param:
    kind = form.get("type", "categorical" if "choices" in form else None)
    if kind is None:
        _refuse_unknown(name, form, _ALL_FIELDS)
        raise SpaceError((name,), "has no type; say type: float, int or categorical")
    if kind not in _FIELDS:
        raise SpaceError(
            (name, "type"),
            f"must be one of float, int, categorical, not {describe(kind)}",
            hint=nearest(str(kind), _FIELDS),
        )
    _refuse_unknown(name, form, _FIELDS[kind])
    when = _conditions(name, form.get("when"))
    if kind == "categorical":
        given = form.get("choices")
        if not isinstance(given, list | tuple):
            raise SpaceError((name, "choices"), f"must be a list, not {describe(given)}")
        choices = _choices(given, (name, "choices"))
        return CategoricalParam(name=name, choices=choices, when=when)
    return _range(name, form, kind, when)


def _refuse_unknown(name: str, form: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for field in form:
        if field not in known:
            raise SpaceError(
                (name, field),
                f"is not known here; a parameter of this type has {', '.join(known)}",
                hint=nearest(field, known),
            )


def _choices(given: Any, path: KeyPath) -> tuple[JsonScalar, ...]:
    if not given:
        raise SpaceError(path, "has no choices")
    if len(given) > MAX_CHOICES:
        raise SpaceError(path, f"has {len(given)} choices; at most {MAX_CHOICES} are searched")
    for index, choice in enumerate(given):
        where = (*path, index) if len(given) > 1 or path[-1] == "choices" else path
        _check_storable(choice, where)
        for other in given[:index]:
            if other == choice:
                raise SpaceError(
                    where, f"{describe(choice)} equals {describe(other)}, which is a choice already"
                )
    return tuple(given)


def _check_storable(value: object, path: KeyPath) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        if unstorable(value) or len(value) > MAX_TEXT:
            raise SpaceError(
                path, f"is text that cannot be stored (at most {MAX_TEXT} characters, no NUL)"
            )
        return
    if not isinstance(value, int | float):
        raise SpaceError(
            path, f"must be text, a number, true, false or null, not {describe(value)}"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise SpaceError(path, f"must be finite, not {value!r}")
    if isinstance(value, int) and abs(value) > MAX_INT:
        raise SpaceError(path, "must be an integer between -2^53 and 2^53")


def _number(name: str, form: Mapping[str, Any], field: str, kind: str) -> Any:
    value = form.get(field)
    path = (name, field)
    if field not in form:
        raise SpaceError((name,), f"needs {field}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpaceError(path, f"must be a number, not {describe(value)}")
    _check_storable(value, path)
    if kind == "float":
        return float(value)
    if value != int(value):
        raise SpaceError(path, f"must be an integer, not {value!r}", hint="or say type: float")
    return int(value)


def _range(
    name: str, form: Mapping[str, Any], kind: str, when: tuple[Condition, ...]
) -> FloatParam | IntParam:
    low, high = _number(name, form, "low", kind), _number(name, form, "high", kind)
    log = form.get("log", False)
    if not isinstance(log, bool):
        raise SpaceError((name, "log"), f"must be true or false, not {describe(log)}")
    if low > high:
        raise SpaceError((name, "low"), f"is {low!r}, above high, which is {high!r}")
    if log and low <= 0:
        raise SpaceError((name, "low"), f"must be above 0 where log is true, not {low!r}")
    step = _step(name, form, kind, low, high)
    if log and step is not None and step != 1:
        raise SpaceError((name, "step"), "cannot go with log: true; drop one of them")
    if kind == "int":
        whole = 1 if step is None else int(step)
        high = low + (high - low) // whole * whole
        return IntParam(name=name, low=low, high=high, log=log, step=whole, when=when)
    if step is not None and log:
        raise SpaceError((name, "step"), "cannot go with log: true; drop one of them")
    high = high if step is None else _last_step(low, high, step)
    return FloatParam(name=name, low=low, high=high, log=log, step=step, when=when)


def _step(name: str, form: Mapping[str, Any], kind: str, low: float, high: float) -> Any:
    if form.get("step") is None:
        return None
    step = _number(name, form, "step", kind)
    if step <= 0:
        raise SpaceError((name, "step"), f"must be above 0, not {step!r}")
    if step > high - low and not (kind == "int" and step == 1):
        raise SpaceError((name, "step"), f"is {step!r}, larger than the range {low!r} to {high!r}")
    if kind == "float" and (high - low) / step > MAX_INT:
        raise SpaceError((name, "step"), f"is {step!r}, too fine for the range")
    return step


def _last_step(low: float, high: float, step: float) -> float:
    """Return the highest value on the steps, in decimal: 0.1 steps end at 0.3, not below it."""
    first, width = Decimal(str(low)), Decimal(str(step))
    return float(first + (Decimal(str(high)) - first) // width * width)


def _conditions(name: str, when: Any) -> tuple[Condition, ...]:
    if when is None:
        return ()
    if not isinstance(when, Mapping):
        raise SpaceError(
            (name, "when"), f"must be a mapping such as {{optimizer: sgd}}, not {describe(when)}"
        )
    found = []
    for parent, value in when.items():
        values = tuple(value) if isinstance(value, list | tuple) else (value,)
        if not values:
            raise SpaceError((name, "when", parent), "lists no values, so it would never hold")
        found.append(Condition(parent=parent, values=values))
    return tuple(found)
