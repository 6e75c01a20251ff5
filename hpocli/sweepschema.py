"""The JSON Schema (draft 2020-12) of the sweep file, with every loaded executor's options."""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from hpocli.catalog import Catalog
from hpocli.spi import ExecutorSpec
from hpocli.sweepform import PRUNERS, SAMPLERS, SweepForm

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SCALAR = {"type": ["string", "number", "boolean", "null"]}
_PARAM: dict[str, Any] = {
    "description": "A value that is fixed, a list of choices, or a parameter's fields.",
    "anyOf": [
        _SCALAR,
        {"type": "array", "items": _SCALAR, "minItems": 1, "uniqueItems": True},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "type": {"enum": ["float", "int", "categorical"]},
                "low": {"type": "number"},
                "high": {"type": "number"},
                "log": {"type": "boolean", "description": "Search the exponent."},
                "step": {"type": ["number", "null"], "exclusiveMinimum": 0},
                "choices": {"type": "array", "items": _SCALAR, "minItems": 1, "uniqueItems": True},
                "when": {
                    "description": "The parameter exists only when these others have these values.",
                    "anyOf": [
                        {"type": "null"},
                        {
                            "type": "object",
                            "additionalProperties": {
                                "anyOf": [
                                    _SCALAR,
                                    {"type": "array", "items": _SCALAR, "minItems": 1},
                                ]
                            },
                        },
                    ],
                },
            },
        },
    ],
}


def schema_document(catalog: Catalog) -> dict[str, Any]:
    """Return the schema of the user's form: what `hpo run` accepts in a sweep file."""
    document = SweepForm.model_json_schema()
    properties: dict[str, Any] = document["properties"]
    properties["space"]["additionalProperties"] = {"$ref": "#/$defs/Parameter"}
    properties["enqueue"]["items"] = {"type": "object", "additionalProperties": _SCALAR}
    for key, names, usual in (("sampler", SAMPLERS, "tpe"), ("pruner", PRUNERS, "median")):
        properties[key] = _named(names, usual, properties[key]["description"])
    for name in ("SamplerForm", "PrunerForm"):
        document["$defs"].pop(name, None)
    document["$defs"]["Parameter"] = _PARAM
    for spec in catalog.executors.values():
        properties.update(_option_schemas(spec))
    return {"$schema": DIALECT, **document}


def _named(names: tuple[str, ...], default: str, description: str) -> dict[str, Any]:
    choice = {"enum": list(names)}
    long_form = {"type": "object", "properties": {"name": choice}}
    return {"description": description, "anyOf": [choice, long_form], "default": default}


def _option_schemas(spec: ExecutorSpec) -> dict[str, Any]:
    hints = get_type_hints(spec.options, include_extras=True)
    return {
        field.name: _option_schema(spec, hints[field.name])
        for field in dataclasses.fields(spec.options)
    }


def _option_schema(spec: ExecutorSpec, hint: Any) -> dict[str, Any]:
    found = TypeAdapter(hint).json_schema()
    for extra in getattr(hint, "__metadata__", ()):
        if hasattr(extra, "param_decls"):
            found["description"] = f"{spec.name}: {extra.help or ''}".strip()
            found |= {} if extra.min is None else {"minimum": extra.min}
            found |= {} if extra.max is None else {"maximum": extra.max}
    return found
