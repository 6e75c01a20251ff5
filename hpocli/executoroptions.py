"""The executor's own options among the sweep's keys: told apart, checked, written back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from hpocli.catalog import Catalog
from hpocli.errors import ConfigError
from hpocli.layers import Merged
from hpocli.spi import ExecutorSpec
from hpocli.sweepkeys import SWEEP_KEYS
from hpocli.typeproblems import problem_hint, problem_text
from hpocli.wording import describe, nearest


def option_names(spec: ExecutorSpec) -> tuple[str, ...]:
    """Return the option names of an executor."""
    return tuple(field.name for field in dataclasses.fields(spec.options))


def check_options(merged: Merged, spec: ExecutorSpec, catalog: Catalog) -> dict[str, Any]:
    """Return all options of `spec`, defaults filled in, each in the field's own type.

    Options of other executors are passed over. Raises ConfigError for any other unknown key, for
    a wrong type and for a number outside the option's bounds.
    """
    own = option_names(spec)
    others = {name for each in catalog.executors.values() for name in option_names(each)}
    for key in merged.data:
        if key not in SWEEP_KEYS and key not in own and key not in others:
            raise _unknown(merged, key, (*SWEEP_KEYS, *own))
    hints = get_type_hints(spec.options, include_extras=True)
    return {
        field.name: _value(merged, field, hints[field.name])
        if merged.given(field.name)
        else _default(field)
        for field in dataclasses.fields(spec.options)
    }


def _unknown(merged: Merged, key: str, known: tuple[str, ...]) -> ConfigError:
    hint = nearest(key, sorted(known)) or "all keys: hpo schema"
    return merged.error((key,), "is not a known key", hint=hint)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _value(merged: Merged, field: dataclasses.Field[Any], hint: Any) -> Any:
    given = merged.data[field.name]
    try:
        value = _convert(hint, given)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise merged.error(
            (field.name,), problem_text(problem), hint=problem_hint(problem)
        ) from None
    low, high = _bounds(hint)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not (value == value and abs(value) != float("inf")):  # noqa: PLR0124 - NaN
            raise merged.error((field.name,), "must be a finite number")
        if (low is not None and value < low) or (high is not None and value > high):
            bounds = f"at least {low}" if high is None else f"between {low} and {high}"
            raise merged.error((field.name,), f"must be {bounds}, not {describe(given)}")
    return value


def _convert(hint: Any, given: Any) -> Any:
    """Check strictly; a text may still become what is written as text, e.g. a Path or an Enum."""
    adapter: TypeAdapter[Any] = TypeAdapter(hint)
    try:
        return adapter.validate_python(given, strict=True)
    except ValidationError as strict:
        try:
            value = adapter.validate_python(given)
        except ValidationError:
            raise strict from None
        if not isinstance(given, str | list) or isinstance(value, bool | int | float):
            raise
        return value


def _bounds(hint: Any) -> tuple[float | None, float | None]:
    for extra in getattr(hint, "__metadata__", ()):
        if hasattr(extra, "param_decls"):
            return extra.min, extra.max
    return None, None


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as a sweep file can hold them."""
    plain: dict[str, Any] = to_jsonable_python(dict(options))
    return plain
