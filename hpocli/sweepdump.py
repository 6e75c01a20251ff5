"""Writing a sweep file that the reader of `sweepfile` reads back to the same values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from hpocli.sweepfile import parse_scalar

_HEADING = "# Written by hpo: the configuration of this run, as it was resolved.\n"


class _Dumper(yaml.SafeDumper):
    """Quotes exactly the texts that YAML 1.2 would not read as text."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal objects out each time: the reader takes no aliases."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = isinstance(parse_scalar(value), str) and value.isprintable()
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


class _OneLine(dict[str, Any]):
    """A mapping that is written on one line, whatever it holds."""


def _one_line(dumper: yaml.SafeDumper, value: _OneLine) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(_OneLine, _one_line)


def dump_mapping(data: Mapping[str, Any]) -> str:
    """Return `data` as YAML: one key a line, one parameter a line, lists of numbers on one."""
    return _HEADING + yaml.dump(
        {key: _laid_out(key, value) for key, value in data.items()},
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=None,
        allow_unicode=True,
        width=1_000_000,
    )


def _laid_out(key: str, value: Any) -> Any:
    if key == "space":
        return {k: _OneLine(v) if isinstance(v, dict) else v for k, v in value.items()}
    if key == "enqueue":
        return [_OneLine(point) for point in value]
    return value
