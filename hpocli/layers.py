"""Layers of configuration, lowest first, and where each value of the merged whole came from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpocli.errors import ConfigError
from hpocli.spacefile import merge_param
from hpocli.sweepfile import Document, KeyPath, parse_value, unstorable
from hpocli.wording import describe

NAMED = ("sampler", "pruner")
NESTED = (*NAMED, "space", "settings", "retries")
PLAIN_TEXT = ("run_name", "runs_dir", "dataset", "storage", "trainer")
NOT_SCALAR = (
    "command",
    "pythonpath",
    "settings",
    "trust",
    "directions",
    "space",
    "enqueue",
    "warm_start",
    "retries",
    "executor",
    "complete",
)
_RIVALS = {
    "trainer": "command",
    "command": "trainer",
    "direction": "directions",
    "directions": "direction",
}
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*\Z")


@dataclass(frozen=True, slots=True)
class Layer:
    """Values from one place. `label` names it; `lines` are known for a file only."""

    data: Mapping[str, Any]
    label: str
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    is_file: bool = False

    def where(self, path: KeyPath) -> str:
        """Name the place of `path`, e.g. `sweep.yaml line 3` or `argument trials=x`."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.label} line {self.lines[path]}" if path else self.label


@dataclass(slots=True)
class Merged:
    """All layers as one mapping in user form, and the layer that gave each part."""

    data: dict[str, Any] = field(default_factory=dict)
    _owners: dict[KeyPath, Layer] = field(default_factory=dict)

    def owner(self, path: KeyPath) -> Layer | None:
        """Return the layer that gave `path`, or None for a default."""
        while path and path not in self._owners:
            path = path[:-1]
        return self._owners.get(path)

    def given(self, key: str) -> bool:
        """Say whether any layer sets the top-level `key` to something."""
        return self.data.get(key) is not None

    def error(self, path: KeyPath, problem: str, *, hint: str = "") -> ConfigError:
        """Return the error for `path`: place, dotted key and problem in one sentence."""
        layer = self.owner(path)
        place = f"{layer.where(path)}: " if layer else ""
        return ConfigError(f"{place}{dotted(path)} {problem}", hint=hint)

    def lay(self, layer: Layer) -> None:
        """Put `layer` on top."""
        for key, value in _normal(layer).items():
            self._lay_key(key, value, layer)

    def _lay_key(self, key: str, value: Any, layer: Layer) -> None:
        rival = _RIVALS.get(key)
        if rival in self.data and self.owner((rival,)) is not layer:
            del self.data[rival]
        below = self.data.get(key)
        if self._replaces(key, value, below):
            self._own((key,), value, layer)
        else:
            for part, inner in value.items():
                self._lay_part(key, part, inner, layer)

    @staticmethod
    def _replaces(key: str, value: Any, below: Any) -> bool:
        """Say whether a value takes the whole place of what is below, instead of merging."""
        if key not in NESTED or not isinstance(value, Mapping) or not isinstance(below, Mapping):
            return True
        return key in NAMED and value.get("name", below.get("name")) != below.get("name")

    def _lay_part(self, key: str, part: str, value: Any, layer: Layer) -> None:
        below = self.data[key].get(part)
        if key == "space" and isinstance(value, Mapping) and isinstance(below, Mapping):
            merged = merge_param(below, value)
            for name in value:
                self._owners[key, part, name] = layer
            self.data[key] = {**self.data[key], part: merged}
        elif key == "space" and isinstance(value, Mapping) and below is not None:
            if "type" not in value and "choices" not in value:
                path = (key, part, next(iter(value), ""))
                raise ConfigError(
                    f"{layer.where(path)}: {dotted(path)} cannot be set: "
                    f"{key}.{part} is {describe(below)} in {self._place((key, part))}"
                )
            self._own_part(key, part, value, layer)
        else:
            self._own_part(key, part, value, layer)

    def _place(self, path: KeyPath) -> str:
        layer = self.owner(path)
        return layer.where(path) if layer else "the defaults"

    def _own_part(self, key: str, part: str, value: Any, layer: Layer) -> None:
        self._forget((key, part))
        self.data[key] = {**self.data[key], part: value}
        self._owners[key, part] = layer

    def _own(self, path: tuple[str], value: Any, layer: Layer) -> None:
        self._forget(path)
        self.data[path[0]] = value
        self._owners[path] = layer

    def _forget(self, path: KeyPath) -> None:
        for known in [p for p in self._owners if p[: len(path)] == path]:
            del self._owners[known]


def dotted(path: KeyPath) -> str:
    """Write a path as people type it: `space.lr.low`, `enqueue[0].lr`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _normal(layer: Layer) -> dict[str, Any]:
    """Return the layer's data with `sampler: tpe` in its long form and `sampler.seed` as `seed`."""
    data = dict(layer.data)
    for key in NAMED:
        if isinstance(data.get(key), str):
            data[key] = {"name": data[key]}
    sampler = data.get("sampler")
    if isinstance(sampler, Mapping) and "seed" in sampler:
        rest = {k: v for k, v in sampler.items() if k != "seed"}
        if data.get("seed", sampler["seed"]) != sampler["seed"]:
            raise ConfigError(
                f"{layer.where(('sampler', 'seed'))}: sampler.seed and seed differ; "
                "they are one thing, drop one of them"
            )
        data["seed"] = sampler["seed"]
        data["sampler"] = rest
        if not rest:
            del data["sampler"]
    return data


def merge(layers: Iterable[Layer]) -> Merged:
    """Lay the layers over each other, the lowest first."""
    merged = Merged()
    for layer in layers:
        merged.lay(layer)
    return merged


def file_layer(document: Document, name: str) -> Layer:
    """Return the sweep file as a layer."""
    return Layer(document.data, name, document.lines, is_file=True)


def environment_layers(environ: Mapping[str, str], keys: Iterable[str]) -> list[Layer]:
    """Return one layer for each `HPO_<KEY>` that is set; lists and mappings have no variable."""
    found = []
    for key in sorted(set(keys) - set(NOT_SCALAR)):
        variable = f"HPO_{key.upper()}"
        text = environ.get(variable, "").strip()
        if text:
            label = f"environment variable {variable}"
            found.append(Layer({key: _value(key, text, label)}, label))
    return found


def assignment_layers(assignments: Sequence[str]) -> list[Layer]:
    """Return one layer for each key=value. Raises ConfigError for one that is not."""
    return [_assignment(text) for text in assignments]


def _assignment(text: str) -> Layer:
    key, equals, value = text.partition("=")
    key = key.strip()
    label = f"argument {_shown(text)}"
    if not equals or not _KEY.match(key):
        raise ConfigError(f"{label}: not of the form key=value")
    if not value.strip():  # a variable that is not set in a script must not mean the default
        raise ConfigError(f"{label}: {key} is given no value", hint=f"{key}=null is the default")
    if key == "executor":
        raise ConfigError(f"{label}: the command decides the executor", hint=f"hpo run {value}")
    first, *rest = key.split(".")
    if rest and first not in NESTED:
        hint = f"keys with parts: {', '.join(NESTED)}"
        raise ConfigError(f"{label}: {first!r} has no parts", hint=hint)
    inner: Any = _value(key, value, label)
    for part in reversed(rest):
        inner = {part: inner}
    return Layer({first: inner}, label)


def _value(key: str, text: str, label: str) -> Any:
    if unstorable(text):
        raise ConfigError(f"{label}: not UTF-8 text")
    if key in PLAIN_TEXT:
        return None if text.strip() in ("null", "~") else text
    return parse_value(text, label)


def _shown(text: str) -> str:
    """Return an argument fit for a message, without the password a storage URL may hold."""
    clean = re.sub(r"://[^@/\s]*@", "://...@", text)
    clean = clean if len(clean) <= 80 else clean[:77] + "..."
    return clean if clean.isprintable() else repr(clean)


def option_layers(options: Mapping[str, Any]) -> list[Layer]:
    """Return one layer for each option that was given (None: it was not)."""
    return [
        Layer({name: value}, f"option --{name.replace('_', '-')}")
        for name, value in options.items()
        if value is not None
    ]
