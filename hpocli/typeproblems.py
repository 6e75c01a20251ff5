"""What pydantic found wrong, in a few plain words that follow the key's name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hpocli.wording import describe, nearest

_WANTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a name, or a mapping with a name",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "above"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "below"),
}


def problem_text(problem: Mapping[str, Any]) -> str:
    """Return e.g. `must be an integer, not 'x'` for one entry of `ValidationError.errors()`."""
    rule = _rule(str(problem["type"]), problem.get("ctx", {})) or _plain(problem["msg"])
    if problem["type"] == "extra_forbidden":
        return rule
    return f"{rule}, not {describe(problem['input'])}"


def _rule(kind: str, context: Mapping[str, Any]) -> str:
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}"
    if kind in _BOUNDS:
        name, word = _BOUNDS[kind]
        return f"must be {word} {context[name]}"
    return {
        "literal_error": f"must be one of {context.get('expected')}",
        "value_error": str(context.get("error")),
        "string_pattern_mismatch": "must be letters, digits, '.', '_' or '-', at most 100",
        "extra_forbidden": "is not a known key",
    }.get(kind, "")


def _plain(message: str) -> str:
    return re.sub(r"^(Input|Value|String|List|Dictionary) should", "must", message).rstrip(".")


def problem_hint(problem: Mapping[str, Any], known: Any = ()) -> str:
    """Return what to do about it, or nothing. `known` are the keys beside an unknown one."""
    kind, given = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        return nearest(str(problem["loc"][-1]), known)
    if kind == "literal_error" and isinstance(given, str):
        return nearest(given, re.findall(r"'([^']*)'", problem["ctx"]["expected"]))
    if kind == "string_type" and isinstance(given, int | float):
        return "put it in quotes"
    if isinstance(given, str) and "_" in given and re.fullmatch(r"[-+]?[0-9_]+", given):
        return f"write {given.replace('_', '')}"
    return ""
